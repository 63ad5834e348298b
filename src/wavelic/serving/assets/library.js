"use strict";
/* The list of images: names, search, files that cannot be shown; on small screens a sheet over the picture. */
window.wavelic = (() => {
  const $ = (id) => document.getElementById(id);
  const PAGE = 200; // entries shown at a time
  const compact = matchMedia("(max-width: 46rem), (max-height: 30rem)");
  const state = { images: [], shown: PAGE, current: null };
  const root = new URL(".", document.baseURI).href.replace(/\/$/, "");

  const encode = (id) => encodeURIComponent(id).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());
  const bytes = (n) => (n < 1000 ? `${n} bytes` : n < 1e6 ? `${(n / 1e3).toPrecision(3)} kB` : `${(n / 1e6).toPrecision(3)} MB`);
  const addressOf = (id) => `#image=${encode(id)}`;

  function service(id, picture) {
    const layers = picture.layers ? `;layers=${picture.layers}` : "";
    return `${root}/iiif/3${layers}${picture.decode ? `;decode=${picture.decode}` : ""}/${encode(id)}`;
  }

  async function json(path) {
    const response = await fetch(`${root}/${path}`);
    if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
    return response.json();
  }

  function found() {
    const words = $("filter").value.trim().toLowerCase().split(/\s+/);
    return state.images.filter((id) => words.every((word) => id.toLowerCase().includes(word)));
  }

  function show() {
    const hits = found();
    $("images").replaceChildren(...hits.slice(0, state.shown).map(entry));
    $("more").hidden = hits.length <= state.shown;
    $("none").textContent = hits.length || !state.images.length ? "" : `No name contains “${$("filter").value.trim()}”.`;
    mark(state.current);
  }

  function entry(id) {
    const slash = id.lastIndexOf("/");
    const link = document.createElement("a");
    link.href = `./${addressOf(id)}`; // of this page: a bare # would be a skip link
    link.dataset.id = id;
    link.title = id;
    const picture = document.createElement("img");
    picture.loading = "lazy";
    picture.alt = "";
    picture.width = picture.height = 54;
    picture.addEventListener("error", () => picture.classList.add("broken"));
    picture.src = `${service(id, {})}/square/^128,128/0/default.jpg`;
    const text = document.createElement("div");
    const name = document.createElement("b");
    name.textContent = id.slice(slash + 1);
    text.append(name);
    if (slash > 0) {
      const folder = document.createElement("small");
      folder.textContent = id.slice(0, slash);
      text.append(folder);
    }
    link.append(picture, text);
    const item = document.createElement("li");
    item.append(link);
    return item;
  }

  function mark(id) {
    state.current = id;
    for (const link of $("images").querySelectorAll("a")) {
      if (link.dataset.id === id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  function fill(list) {
    state.images = list.images;
    const count = list.images.length;
    $("folder").textContent = `${list.folder} · ${count}${list.complete ? "" : "+"} image${count === 1 ? "" : "s"}`;
    const { refused } = list;
    $("refused").hidden = !refused.length;
    $("refused").querySelector("summary").textContent = `${refused.length} file${refused.length === 1 ? "" : "s"} cannot be shown`;
    $("refused").querySelector("ul").replaceChildren(...refused.map(({ id, reason }) => {
      const item = document.createElement("li");
      const name = document.createElement("b");
      name.textContent = id;
      item.append(name, ` ${reason}`);
      return item;
    }));
    show();
  }

  /* Sheets: on small screens the list and the controls lie over the picture, and out of reach while they are closed. */
  const sheets = [["library", "open-library"], ["controls", "open-controls"]];

  function openSheet(name) {
    for (const [sheet, button] of sheets) {
      const open = sheet === name;
      $(sheet).classList.toggle("open", open);
      $(sheet).inert = compact.matches && !open;
      $(button).setAttribute("aria-expanded", String(open));
    }
    if (name === "library" && compact.matches) $("close-library").focus();
  }

  function closeSheets() {
    const back = sheets.find(([sheet]) => $(sheet).classList.contains("open") && $(sheet).contains(document.activeElement));
    openSheet(null);
    if (back && compact.matches) $(back[1]).focus();
  }

  for (const [sheet, button] of sheets)
    $(button).addEventListener("click", () => ($(sheet).classList.contains("open") ? closeSheets() : openSheet(sheet)));
  $("close-library").addEventListener("click", closeSheets);
  $("images").addEventListener("click", (event) => { if (event.target.closest("a")) closeSheets(); });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeSheets(); });
  compact.addEventListener("change", () => openSheet(null));
  openSheet(null);

  $("filter").addEventListener("input", () => { state.shown = PAGE; show(); });
  $("filter").addEventListener("keydown", (event) => {
    const first = found()[0];
    if (event.key !== "Enter" || first === undefined) return;
    event.preventDefault(); // the key must not also press the button that the focus goes to
    location.hash = addressOf(first);
    closeSheets();
  });
  $("more").addEventListener("click", () => { state.shown += PAGE; show(); });

  function step(by) {
    const at = state.images.indexOf(state.current) + by;
    if (at >= 0 && at < state.images.length) location.hash = addressOf(state.images[at]);
  }

  function find() {
    if (compact.matches) openSheet("library");
    $("filter").focus();
  }

  const first = () => state.images[0];
  const current = () => state.current;
  return { $, root, encode, bytes, service, json, library: { fill, first, current, mark, step, find } };
})();
