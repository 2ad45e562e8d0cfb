// The table as results.csv has it, to the letter, and as JSON.

// A number as Python writes a float.
export function floatText(value) {
  const [digits, power] = value.toExponential().split("e");
  const exponent = Number(power);
  if (value !== 0 && (exponent < -4 || exponent >= 16)) {
    return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  }
  const text = Object.is(value, -0) ? "-0" : String(value);
  return text.includes(".") ? text : `${text}.0`;
}

function cell(value, kind) {
  if (value === null) return "";
  if (kind === "string") return `"${value.replaceAll('"', '""')}"`;
  return kind === "Float64" ? floatText(value) : String(value);
}

export function csvOf(columns, rows) {
  const lines = [columns.map(column => cell(column.name, "string")).join(",")];
  for (const row of rows) lines.push(columns.map(({ values, kind }) => cell(values[row], kind)).join(","));
  return `${lines.join("\n")}\n`;
}

export function jsonOf(columns, rows) {
  return `${JSON.stringify(rows.map(row => Object.fromEntries(columns.map(({ name, values }) => [name, values[row]]))), null, 1)}\n`;
}

// A word of a shell's command line, as shlex.quote writes it.
export function shellWord(text) {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`;
}

export function commands(study, row) {
  const trial = study.trial(row);
  if (trial === null || !study.column("arch")[row]) return [];
  const network = shellWord(`${study.study}:${trial}`);
  const factor = study.factors.length ? study.factors[0].replace(/^param\./, "") : "patch_size";
  const full = shellWord(`${study.study}-${trial}-full`);
  return [
    { name: "Confirm", title: "whether its accuracy holds", text: `mvit-nas confirm ${shellWord(study.study)} ${trial}` },
    { name: "Measure", title: "how long it takes", text: `mvit-nas latency ${network}` },
    { name: "Ablate", title: `what ${factor} does to it`, text: `mvit-nas ablate ${shellWord(factor)} --base ${network}` },
    { name: "Train", title: "what it reaches when it is trained in full", text: `mvit-nas train ${network} --test --name ${full}` },
    { name: "Export", title: "whether it runs as a phone's file", text: `mvit-nas export models/${full} --format onnx,pte,tflite` },
  ];
}
