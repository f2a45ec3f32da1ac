const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const form = document.getElementById("filter");
const rows = all("tr[data-method]").map(row => {  // searched with what stands above them
  const above = [row.closest("tbody").querySelector(".group"), row.closest("table").caption, row.closest("section").querySelector("h2"), row.closest(".block")?.querySelector("h3")];
  return { row, text: [row, ...above].map(element => element?.textContent ?? "").join(" ").toLowerCase() };
});

function filter() {
  const method = form.elements.method.value, dataset = form.elements.dataset.value;
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { row, text } of rows) {
    row.hidden = (method && row.dataset.method && row.dataset.method !== method) || (dataset && row.dataset.dataset !== dataset)
      || !words.every(word => text.includes(word));
  }
  const empty = element => !element.querySelector("tr[data-method]:not([hidden])");
  const title = section => section.querySelector("h2").textContent.toLowerCase();
  const titled = section => !method && !dataset && words.every(word => title(section).includes(word));
  const filtered = method || dataset || words.length;
  const bare = part => !part.querySelector("tr[data-method]");
  for (const part of all("tbody, .scroll")) part.hidden = empty(part);
  for (const part of all(".block")) part.hidden = filtered && empty(part) && !(bare(part) && titled(part.closest("section")));
  for (const section of all("section[data-filtered]")) section.hidden = filtered && empty(section) && !titled(section);
  const shown = rows.filter(({ row }) => !row.hidden).length;
  const found = shown || all("section[data-filtered]").some(section => !section.hidden);
  form.querySelector("output").textContent = found ? `${shown} of ${rows.length} rows` : "Nothing matches.";
}

function key(row, column) {
  const cell = row.cells[column], text = cell?.firstElementChild?.firstChild?.textContent ?? cell?.textContent ?? "";
  const value = parseFloat(text.replaceAll(",", "").replace("−", "-"));
  return Number.isNaN(value) ? text.trim().toLowerCase() : value;
}

function sort(button) {
  const header = button.closest("th"), table = header.closest("table"), column = header.cellIndex;
  const down = header.getAttribute("aria-sort") === "ascending";
  for (const other of all("[aria-sort]", table)) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  for (const body of table.tBodies) {
    const sorted = all("tr:not(.group)", body).map(row => [key(row, column), row]);
    sorted.sort(([a], [b]) => (a === "") - (b === "") || (typeof a === "number") - (typeof b === "number") || (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    body.append(...sorted.map(([, row]) => row));
  }
}

function cells(table) {  // as written, without what only hovers
  return all("tr", table).filter(row => !row.hidden).map(row => [...row.cells].flatMap(cell => {
    const copy = cell.cloneNode(true);
    for (const part of all(".seeds, .here", copy)) part.remove();
    return [copy.textContent.trim().replace(/\s+/g, " "), ...Array(cell.colSpan - 1).fill("")];
  }));
}

const quote = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
const escape = text => text.replace(/[\\&%$#_{}~^]/g, c => ({ "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" })[c] ?? `\\${c}`).replaceAll("−", "$-$");
const formats = {
  CSV: lines => lines.map(line => line.map(quote).join(",")).join("\n") + "\n",
  LaTeX: lines => `\\begin{tabular}{${"l".repeat(Math.max(...lines.map(line => line.length)))}}\n${lines.map(line => line.map(escape).join(" & ")).join(" \\\\\n")} \\\\\n\\end{tabular}\n`,
};

async function copy(button, text) {
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");  // the clipboard of a page from file:// takes nothing else everywhere
  area.remove();
  if (!done) await navigator.clipboard?.writeText(text);
  button.parentElement.querySelector("output").textContent = "Copied.";
}

for (const table of all("table")) {
  for (const header of all("thead tr:last-child th", table)) {
    const button = document.createElement("button");
    button.append(...header.childNodes);
    button.addEventListener("click", () => sort(button));
    header.append(button);
  }
  const tools = document.createElement("p");
  tools.className = "tools";
  for (const [name, write] of Object.entries(formats)) {
    const button = document.createElement("button");
    button.textContent = `Copy as ${name}`;
    button.addEventListener("click", () => copy(button, write(cells(table))));
    tools.append(button);
  }
  tools.append(document.createElement("output"));
  table.closest(".scroll").after(tools);
}
for (const row of all("tr[id]")) {
  const link = document.createElement("a");
  link.className = "here";
  link.href = `#${row.id}`;
  link.textContent = "#";
  link.setAttribute("aria-label", "address of this row");
  row.cells[0].append(link);
}
form.hidden = false;
form.addEventListener("input", filter);
form.addEventListener("submit", event => event.preventDefault());
filter();
