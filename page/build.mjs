// Bundles src/ into the package and copies the libraries that the page embeds, so that neither a user nor CI needs Node.
// The bundle names the hash of its sources; tests/results/test_page_bundle.py computes it again, so that a stale one is found.
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const packed = join(here, "../mvit_nas/results/static");
const modules = join(here, "node_modules");

function sourceHash() {
  const hash = createHash("sha256");
  const names = readdirSync(join(here, "src")).filter(name => name.endsWith(".js")).sort();
  for (const file of [...names.map(name => join("src", name)), "build.mjs", "package-lock.json"]) {
    hash.update(readFileSync(join(here, file)));
  }
  return hash.digest("hex");
}

mkdirSync(packed, { recursive: true });
const { outputFiles } = await build({
  entryPoints: [join(here, "src/main.js")], bundle: true, minify: true, format: "iife", target: "es2022", charset: "ascii",
  write: false,
});
writeFileSync(join(packed, "page.js"), `/*! mvit-nas, built from page/src by make page. sources:${sourceHash()} */\n${outputFiles[0].text}`);

const libraries = {
  "plotly.js-basic-dist-min": { "plotly-basic.min.js": "plotly-basic.min.js", LICENSE: "plotly.LICENSE" },
  "tabulator-tables": {
    "dist/js/tabulator.min.js": "tabulator.min.js", "dist/css/tabulator_simple.min.css": "tabulator.min.css", LICENSE: "tabulator.LICENSE",
  },
};
const lines = Object.entries(libraries).map(([name, files]) => {
  const { version, license, homepage } = JSON.parse(readFileSync(join(modules, name, "package.json")));
  for (const [from, to] of Object.entries(files)) copyFileSync(join(modules, name, from), join(packed, to));
  return `| ${name} | ${version} | ${license} | ${homepage ?? "https://plotly.com/javascript"} |`;
});
writeFileSync(join(packed, "README.md"), `# What the pages embed

Written by \`make page\`, which is also how a library is updated: change its version in page/package.json, then
\`npm --prefix page install && make page page-test\`. \`page.js\` is built from page/src.

| library | version | licence | home |
|---|---|---|---|
${lines.join("\n")}
`);

// For the tests alone: the checks of accessibility.
const axe = join(modules, "axe-core");
const tests = join(here, "../tests/vendor");
mkdirSync(tests, { recursive: true });
copyFileSync(join(axe, "axe.min.js"), join(tests, "axe.min.js"));
copyFileSync(join(axe, "LICENSE"), join(tests, "axe.LICENSE"));
