// Draws the event types and what they share, out of the OpenAPI document. Called by docs.js.

const PART = "#/components/schemas/";
// Keywords that have their own place in the table; any other is shown as it stands.
const PLACED = ["title", "description", "examples", "properties", "required", "$ref", "type", "const", "enum", "items"];
const EXPLAINED = ["x-violation", "anyOf"]; // the one is the other in words

function drawEventTypes(description) {
  const parts = description.components.schemas;
  const all = (prefix) => Object.keys(parts).filter((name) => name.startsWith(prefix));
  const draw = (name) => drawn(name, parts);
  document.getElementById("events").append(...all("events.").map(draw));
  document.getElementById("shared").append(...all("objects.").map(draw));
  addEventListener("hashchange", openTarget);
  openTarget();
}

// An address that leads to a part opens it.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) {
    target.open = true;
    target.scrollIntoView();
  }
}

function drawn(name, parts) {
  const schema = parts[name];
  const summary = element("summary", {}, element("b", {}, schema.title), " ", schema.description);
  const { user } = parts["objects.event"].properties; // without one /track takes no event
  const examples = (schema.properties.event?.examples ?? []).map((example) => {
    const event = { ...example, user: { ...user.examples[0], ...example.user } };
    return element("pre", {}, element("code", {}, JSON.stringify({ event }, null, 2)));
  });
  return element("details", { id: name }, summary, table(schema, parts), ...examples);
}

function table(schema, parts) {
  const body = element("tbody");
  for (const [path, field, required] of members(schema)) {
    const name = element("td", {}, element("code", {}, path), required ? " required" : "");
    const told = element("td", {}, field.description ?? "", ...demands(field));
    const examples = "properties" in field ? [] : (field.examples ?? []); // its members have some
    const example = element("td", {}, ...examples.slice(0, 1).map(code));
    body.append(element("tr", {}, name, element("td", {}, ...types(field, parts)), told, example));
  }
  const titles = ["field", "type", "description", "example"].map((each) => element("th", {}, each));
  return element("table", { className: "fields" }, element("thead", {}, element("tr", {}, ...titles)), body);
}

// Each field by its path, and after it the fields that are described within it.
function* members(schema, path = "") {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield [path + name, field, (schema.required ?? []).includes(name)];
    yield* members(field, `${path}${name}.`);
    yield* members(field.items ?? {}, `${path}${name}[].`);
  }
}

function types(field, parts) {
  if ("$ref" in field) return [link(field.$ref, parts)];
  if ("const" in field) return [code(field.const)];
  if ("enum" in field) return listed(field.enum.map(code), " or ");
  const kinds = [field.type ?? "anything"].flat().map((type) => element("span", {}, type));
  if (field.items) kinds.at(-1).append(" of ", ...types(field.items, parts));
  return listed(kinds, " or ");
}

// What is asked of the field beyond its type.
function demands(field) {
  const said = [];
  if (field.required) said.push(" It needs ", ...listed(field.required.map((name) => element("code", {}, name)), ", "), ".");
  if (field["x-violation"]) said.push(` ${field["x-violation"].detail}.`);
  const told = [...PLACED, ...(field["x-violation"] ? EXPLAINED : [])];
  for (const [keyword, value] of Object.entries(field)) {
    if (!told.includes(keyword)) said.push(" ", element("code", {}, `${keyword}: ${JSON.stringify(value)}`));
  }
  return said;
}

function listed(items, between) {
  return items.flatMap((item, index) => (index ? [between, item] : [item]));
}

function code(value) {
  return element("code", {}, JSON.stringify(value, null, 1)); // its white space is drawn as one space
}

function link(reference, parts) {
  const name = reference.slice(PART.length);
  // Swagger UI follows links within the page by itself, so no hashchange tells of them.
  const onclick = () => {
    document.getElementById(name).open = true;
  };
  return element("a", { href: `#${name}`, onclick }, parts[name].title);
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
