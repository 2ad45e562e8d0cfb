// Elements made without HTML: text from outside the page can only ever become text.

export const byId = id => document.getElementById(id);

// element("p.note", { hidden: true }, "words", child)
export function element(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  return fill(made, attributes, children);
}

export function svg(kind, attributes = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  if (classes.length) made.setAttribute("class", classes.join(" "));
  return fill(made, attributes, children);
}

function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter(child => child !== null && child !== undefined && child !== false)
    .map(child => typeof child === "string" ? unbroken(child) : child));
  return made;
}

// A number and its unit stay on one line, as in report.py.
export const unbroken = text => text.replace(/(\d[KMG]?) (?=%|(?:ms|s|min|h|px|MiB|GiB|MACs|parameters|points|images)\b)/g, "$1\u00a0");

export function download(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// Copying without a secure context, which a file is not everywhere, takes a selection.
export async function copy(text, button) {
  const done = await navigator.clipboard?.writeText(text).then(() => true, () => false) ?? false;
  if (!done) {
    const area = element("textarea", { "aria-hidden": "true", style: "position: fixed; opacity: 0" });
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const before = button.textContent;
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = before; }, 1200);
}

// Calls ``draw`` once the element comes near the window, or is printed: what nobody sees costs nothing.
export function whenNear(target, draw) {
  let drawn = false;
  const now = () => {
    if (drawn) return;
    drawn = true;
    watch.disconnect();
    draw();
  };
  const watch = new IntersectionObserver(entries => { if (entries.some(entry => entry.isIntersecting)) now(); }, { rootMargin: "600px" });
  watch.observe(target);
  addEventListener("beforeprint", now);
}

// Words beside the pointer, which readers of the screen hear as well.
export function tooltip(host) {
  const box = element("div.tip", { role: "status", hidden: true });
  host.append(box);
  return {
    show(lines, x, y, { rising = true } = {}) {
      box.replaceChildren(...lines.map((line, i) => element(i ? "div" : "strong", {}, line)));
      box.hidden = false;
      const [width, height] = [box.offsetWidth, box.offsetHeight];
      // Beside a front that rises the box lies below its right or above its left, beside one that falls the other way, so
      // that it does not hide the next members.
      const right = x + 16 + width < host.clientWidth;
      const left = right ? x + 16 : Math.max(0, x - 16 - width);
      const top = right === rising ? y + 12 : y - 12 - height;
      box.style.left = `${Math.max(0, Math.min(left, host.clientWidth - width))}px`;
      box.style.top = `${Math.max(0, Math.min(top, host.clientHeight - height))}px`;
    },
    hide() { box.hidden = true; },
  };
}
