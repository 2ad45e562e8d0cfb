// Two configurations, path by path (architecture.py, differences).

function flat(value, prefix, into) {
  if (prefix) into.set(prefix, value);
  if (value !== null && typeof value === "object") {
    for (const [key, inner] of Object.entries(value)) flat(inner, prefix ? `${prefix}.${key}` : key, into);
  }
  return into;
}

const isPart = value => value !== null && typeof value === "object";

// Every path at which two architectures differ, with both values; null where one has nothing there. Where only one has
// a part (a stage, a MobileViT block), the part is one difference.
export function differences(one, other) {
  const [mine, theirs] = [one, other].map(config => flat(config, "", new Map()));
  const found = [];
  for (const path of new Set([...mine.keys(), ...theirs.keys()])) {
    const [a, b] = [mine.get(path) ?? null, theirs.get(path) ?? null];
    const below = found.some(change => path.startsWith(`${change.path}.`));
    if (a !== b && !below && !(isPart(a) && isPart(b))) found.push({ path, one: a, other: b });
  }
  return found;
}
