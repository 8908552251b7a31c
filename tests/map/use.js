const said = {}, key = (on, key) => on.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("input")); };
const heading = () => $("panel").querySelector("h2").textContent;
const row = name => [...document.querySelectorAll(".row")].find(r => r.getAttribute("aria-label") == "service " + name);
said.all = $("count").textContent;
key(document.body, "/"); said.focus = document.activeElement.id;
set("search", "postgres"); said.search = $("count").textContent; set("search", "");
row("web-1.example").focus(); said.focusable = document.activeElement.getAttribute("aria-label");
key(document.activeElement, "Enter"); said.node = heading(); said.panel = $("panel").textContent;
said.dimmed = [...document.querySelectorAll(".row.dim")].length;
key(document.body, "Escape"); said.escape = heading();
document.querySelector(".box").dispatchEvent(new MouseEvent("click", { bubbles: true })); said.group = heading();
set("group", String(D.groups.findIndex(g => g.name == "cache"))); said.filtered = $("count").textContent; set("group", "");
for (const kind of ["began", "vanished", "one"]) { set("show", kind); said[kind] = $("count").textContent; }
set("show", ""); const before = picture.getBoundingClientRect().width; key(document.body, "+");
said.zoomed = picture.getBoundingClientRect().width > before;
said.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
document.body.dataset.said = JSON.stringify(said);
