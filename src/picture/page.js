"use strict";
const D = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
// Texts become text nodes: nothing that a name says is read as markup.
const make = (node, attributes, children) => {
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  for (const child of children) node.append(child);
  return node;
};
const html = (tag, attributes, ...children) => make(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => make(document.createElementNS(SVG, tag), attributes, children);
const cut = (text, width) => {
  const most = Math.floor((width - 16) / 7.3);
  return text.length > most ? text.slice(0, most - 1) + "…" : text;
};
const scaled = number => {
  let step = 0;
  while (number >= 1000 && step < 5) { number /= 1000; step++; }
  return number.toPrecision(3).replace(/\.?0+$/, m => m[0] == "." ? "" : m) + " " + ["", "k", "M", "G", "T", "P"][step] + D.unit;
};
const when = seconds => new Date(seconds * 1000).toLocaleString();
const rtt = seconds => (seconds * 1000).toPrecision(3) + " ms";
const nameOf = node => D.groups[node.group].name;
const BEGAN = "began", VANISHED = "vanished", ONE = "one";
const WORDS = {
  [BEGAN]: "began", [VANISHED]: "vanished",
  one_sided: "only one end sees it", no_exporter: "the other end reports nothing"
};

D.nodes.forEach((node, i) => Object.assign(node, { i, edges: [] }));
for (const edge of D.edges) {
  D.nodes[edge.from].edges.push(edge);
  if (edge.to != edge.from) D.nodes[edge.to].edges.push(edge);
  edge.one = edge.ports.some(p => p.ends == "one_sided" || p.ends == "no_exporter");
  edge.kind = edge.change != "none" ? edge.change : edge.one ? ONE : "";
  const texts = edge.ports.flatMap(p => [p.port, p.protocol, ...p.clients, ...p.servers]);
  edge.text = texts.join(" ").toLowerCase();
}

// The drawing.
const rows = new Map(), boxes = [], lines = [];
const top_ = group => group.name ? 28 : 2;
const button = (g, label, act) => {
  make(g, { tabindex: 0, role: "button", "aria-label": label }, []);
  g.addEventListener("click", event => { event.stopPropagation(); act(); });
  g.addEventListener("keydown", event => {
    if (event.target == g && (event.key == "Enter" || event.key == " ")) { event.preventDefault(); act(); }
  });
  return g;
};
const picture = svg("svg", { viewBox: `0 0 ${D.width} ${D.height}`, role: "group", "aria-label": "map of dependencies" });
const under = svg("g", {}), over = svg("g", {});
picture.append(svg("defs", {}, svg("marker", { id: "tip", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, markerUnits: "userSpaceOnUse", orient: "auto" },
  svg("path", { d: "M0 1 8 4 0 7", class: "tip" }))), under, over);
D.groups.forEach((group, at) => {
  const box = svg("g", { class: "box", transform: `translate(${group.x},${group.y})` });
  box.append(svg("rect", { width: group.w, height: group.h, rx: 5 }));
  if (group.name) {
    box.append(svg("rect", { class: "head", width: group.w, height: 27, rx: 5, "fill-opacity": 0 }),
      svg("text", { class: "title", x: 8, y: 18 }, cut(group.name, group.w - 24)),
      svg("text", { class: "more", x: group.w - 8, y: 18, "text-anchor": "end" }, group.nodes.length));
    button(box, `hostgroup ${group.name}, ${group.nodes.length} services`, () => select({ group: at }));
  }
  group.nodes.slice(0, D.rows).forEach((i, n) => {
    const node = D.nodes[i], row = svg("g", { class: "row", transform: `translate(0,${top_(group) + n * 22})` });
    row.append(svg("rect", { x: 1, width: group.w - 2, height: 22, rx: 3 }), svg("text", { x: 8, y: 15 }, cut(node.name, group.w)), svg("title", {}, node.name));
    rows.set(i, button(row, `service ${node.name}`, () => select({ node: i })));
    box.append(row);
  });
  const more = group.nodes.length - D.rows;
  if (more > 0) box.append(svg("text", { class: "more", x: 8, y: top_(group) + D.rows * 22 + 15 }, `and ${more} more`));
  boxes.push(box);
  over.append(box);
});
// With many dependencies there is a line for two hostgroups, not for two services.
const fine = D.edges.length <= 160, few = D.edges.length <= 40;
const anchor = i => {
  const node = D.nodes[i], group = D.groups[node.group], n = Math.min(group.nodes.indexOf(i), D.rows);
  return { group, y: group.y + (fine ? top_(group) + n * 22 + 11 : group.h / 2) };
};
const paths = new Map();
for (const edge of D.edges) {
  const key = fine ? edge.from + ">" + edge.to : D.nodes[edge.from].group + ">" + D.nodes[edge.to].group;
  if (!paths.has(key)) paths.set(key, []);
  paths.get(key).push(edge);
}
for (const edges of paths.values()) {
  const a = anchor(edges[0].from), b = anchor(edges[0].to);
  if (a.group == b.group && !fine) continue;
  const back = b.group.x <= a.group.x;
  const x1 = a.group.x + (back && a.group != b.group ? 0 : a.group.w), x2 = b.group.x + (back ? b.group.w : 0);
  const bend = Math.max(40, Math.abs(x2 - x1) / 2) * (back && a.group != b.group ? -1 : 1);
  const end = a.group == b.group ? x2 + 40 : x2 - bend;
  // One that passes a layer goes round what stands there.
  const bow = Math.abs(x2 - x1) > 200 && a.group != b.group ? 66 : 0;
  const bits = edges.reduce((sum, e) => sum + (e.sent || 0) + (e.received || 0), 0);
  const line = svg("path", {
    d: `M${x1} ${a.y}C${x1 + bend} ${a.y - bow} ${end} ${b.y - bow} ${x2} ${b.y}`,
    "stroke-width": Math.min(6, 1 + Math.log10(1 + bits / 1e4)).toFixed(1), "marker-end": "url(#tip)"
  }, svg("title", {}, edges.slice(0, 9).map(words).join("\n")));
  under.append(line);
  const label = few && figures(edges[0]) ? svg("text", { class: "more", x: (x1 + x2) / 2, y: (a.y + b.y) / 2 - bow * 0.75 - 4, "text-anchor": "middle" }, figures(edges[0])) : null;
  if (label) under.append(label);
  lines.push({ line, edges, label });
}
function figures(edge) {
  const parts = [];
  if (edge.rtt != null) parts.push(rtt(edge.rtt));
  if (edge.sent != null || edge.received != null) parts.push(scaled((edge.sent || 0) + (edge.received || 0)));
  return parts.join(" ");
}
function words(edge) {
  const parts = [D.nodes[edge.from].name + " → " + D.nodes[edge.to].name];
  if (edge.ports.length) parts.push(edge.ports.slice(0, 4).map(p => p.port + "/" + p.protocol).join(" "));
  if (edge.rtt != null) parts.push(rtt(edge.rtt));
  if (edge.sent != null) parts.push("↑ " + scaled(edge.sent));
  if (edge.received != null) parts.push("↓ " + scaled(edge.received));
  return parts.join(", ");
}
$("picture").append(picture);

// What is shown of it.
let chosen = {}, zoom = 1;
const inGroup = (node, group) => group == "" || node.group == group;
function apply() {
  const query = $("search").value.trim().toLowerCase(), group = $("group").value, show = $("show").value;
  const named = node => (node.name + " " + nameOf(node)).toLowerCase().includes(query);
  const matches = edge => {
    const a = D.nodes[edge.from], b = D.nodes[edge.to];
    return (inGroup(a, group) || inGroup(b, group)) && (!query || named(a) || named(b) || edge.text.includes(query)) &&
      (!show || (show == ONE ? edge.one : edge.change == show || edge.ports.some(p => p.change == show)));
  };
  const found = D.edges.filter(matches), nodes = new Set();
  for (const edge of found) nodes.add(edge.from).add(edge.to);
  D.nodes.forEach((node, i) => { if (!show && inGroup(node, group) && (!query || named(node))) nodes.add(i); });
  const mine = edge => chosen.node != null ? edge.from == chosen.node || edge.to == chosen.node :
    chosen.group != null && (D.nodes[edge.from].group == chosen.group || D.nodes[edge.to].group == chosen.group);
  const some = chosen.node != null || chosen.group != null;
  const lit = new Set(found.filter(mine)), near = new Set();
  for (const edge of lit) near.add(edge.from).add(edge.to);
  const on = i => nodes.has(i) && (!some || near.has(i) || i == chosen.node || D.nodes[i].group == chosen.group);
  const shown = new Set(found);
  for (const { line, edges, label } of lines) {
    const here = edges.filter(e => shown.has(e)), first = here.find(e => e.kind) || here[0];
    line.setAttribute("class", [first && (here.every(e => e.kind) || fine) ? first.kind : "", here.some(e => lit.has(e)) ? "lit" : "", !here.length || some && !here.some(e => lit.has(e)) ? "dim" : ""].join(" "));
    if (label) label.setAttribute("class", here.length && (!some || here.some(e => lit.has(e))) ? "more" : "more dim");
  }
  for (const [i, row] of rows) row.setAttribute("class", "row" + (i == chosen.node ? " on" : "") + (on(i) ? "" : " dim"));
  D.groups.forEach((g, at) => boxes[at].setAttribute("class", "box" + (at == chosen.group ? " on" : "") + (g.nodes.some(on) ? "" : " dim")));
  $("count").textContent = `${nodes.size} of ${D.nodes.length} services, ${found.length} of ${D.edges.length} dependencies`;
  panel(found, nodes);
}
function select(what) {
  chosen = what;
  apply();
  $("panel").scrollTop = 0;
}
const jump = i => html_button(D.nodes[i].name, () => {
  select({ node: i });
  (rows.get(i) || boxes[D.nodes[i].group]).scrollIntoView({ block: "center", inline: "center" });
});
function html_button(text, act) {
  const node = html("button", { type: "button" }, text);
  node.addEventListener("click", act);
  return node;
}
function item(edge, from) {
  const li = html("li", {});
  if (from != null) li.append(jump(edge.from == from ? edge.to : edge.from));
  else li.append(jump(edge.from), " → ", jump(edge.to));
  const traffic = [];
  if (edge.sent != null) traffic.push("↑ " + scaled(edge.sent));
  if (edge.received != null) traffic.push("↓ " + scaled(edge.received));
  if (traffic.length) li.append(html("div", {}, traffic.join(" ")));
  for (const port of edge.ports) {
    const who = [port.clients.join(", "), port.servers.join(", ")].map(p => p || "?").join(" → ");
    const line = html("div", {}, `${port.port}/${port.protocol} ${who}` + (port.rtt != null ? `, ${rtt(port.rtt)}` : ""));
    for (const mark of [port.change, port.ends]) if (WORDS[mark]) line.append(" ", html("b", { class: mark == port.change ? mark : ONE }, WORDS[mark]));
    li.append(line);
  }
  if (!edge.ports.length) li.append(html("div", {}, "traffic without a known connection"));
  return li;
}
function list(into, title, edges, from) {
  if (!edges.length) return;
  into.append(html("h3", {}, `${title} (${edges.length})`));
  const ul = html("ul", {});
  for (const edge of edges.slice(0, 200)) ul.append(item(edge, from));
  if (edges.length > 200) ul.append(html("li", {}, `and ${edges.length - 200} more: search or filter`));
  into.append(ul);
}
function panel(found, nodes) {
  const into = $("panel");
  into.replaceChildren();
  if (chosen.node != null) {
    const node = D.nodes[chosen.node];
    into.append(html("h2", {}, node.name), html("div", {}, (nameOf(node) ? `hostgroup ${nameOf(node)}` : "no hostgroup") + (node.reports ? "" : ", reports nothing itself")));
    list(into, "Depends on", found.filter(e => e.from == node.i), node.i);
    list(into, "Is depended on by", found.filter(e => e.to == node.i && e.from != node.i), node.i);
  } else if (chosen.group != null) {
    const group = D.groups[chosen.group], ul = html("ul", {});
    for (const i of group.nodes) ul.append(html("li", {}, jump(i)));
    into.append(html("h2", {}, group.name), html("h3", {}, `Services (${group.nodes.length})`), ul);
    list(into, "Depends on", found.filter(e => D.nodes[e.from].group == chosen.group));
    list(into, "Is depended on by", found.filter(e => D.nodes[e.to].group == chosen.group && D.nodes[e.from].group != chosen.group));
  } else {
    into.append(html("h2", {}, D.title), html("div", {}, `as of ${when(D.taken)}` + (D.since ? `, compared with ${when(D.since)}` : "")));
    if (D.dropped) into.append(html("div", {}, `${D.dropped} more did not fit`));
    if (!D.edges.length) into.append(html("p", {}, "There are no dependencies."));
    const missed = [...nodes].filter(i => !D.nodes[i].edges.length).map(i => html("li", {}, jump(i)));
    const changed = kind => found.filter(e => e.change == kind || e.ports.some(p => p.change == kind));
    if (D.since && !$("show").value) {
      list(into, "Began", changed(BEGAN));
      list(into, "Vanished", changed(VANISHED));
    }
    list(into, "Dependencies", found);
    if (missed.length) into.append(html("h3", {}, "Without dependencies"), html("ul", {}, ...missed.slice(0, 200)));
  }
}
function scale(to) {
  zoom = Math.min(3, Math.max(0.1, to));
  make(picture, { width: D.width * zoom, height: D.height * zoom }, []);
}
const whole = () => Math.min(1, $("picture").clientWidth / D.width), fit = () => scale(whole());
document.title = D.title + ": dependencies";
$("title").textContent = D.title;
D.groups.forEach((group, at) => { if (group.name) $("group").append(html("option", { value: at }, group.name)); });
for (const kind of [BEGAN, VANISHED]) if (!D.since) $("show").querySelector(`[value=${kind}]`).remove();
if (!D.edges.some(e => e.one)) $("show").querySelector("[value=one]").remove();
for (const id of ["search", "group", "show"]) $(id).addEventListener("input", () => select({}));
$("in").addEventListener("click", () => scale(zoom * 1.25));
$("out").addEventListener("click", () => scale(zoom / 1.25));
$("fit").addEventListener("click", fit);
picture.addEventListener("click", () => select({}));
document.addEventListener("keydown", event => {
  const typing = /INPUT|SELECT/.test(event.target.tagName);
  if (event.key == "Escape") { if (typing) $("search").value = ""; select({}); }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key == "/") { event.preventDefault(); $("search").focus(); }
  if (event.key == "+") scale(zoom * 1.25);
  if (event.key == "-") scale(zoom / 1.25);
  if (event.key == "0") fit();
});
const asked = new URLSearchParams(location.hash.slice(1));
if (asked.get("q")) $("search").value = asked.get("q");
if (asked.get("show")) $("show").value = asked.get("show");
const start = D.nodes.findIndex(node => node.name == asked.get("node"));
// Names can be read at first, where not everything fits.
scale(Math.max(0.7, whole()));
select(start >= 0 ? { node: start } : {});
