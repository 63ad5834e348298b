"use strict";
/* The viewer: a list of images, deep zoom by OpenSeadragon, a slider for quality layers, two pictures side by side.
   What is shown is in the address, so that a link shows the same: #image=a/b.jp2&layers=3&with=stock (or with=2). */
(() => {
  const $ = (id) => document.getElementById(id);
  const PAGE = 200; // list entries shown at a time
  const SMOOTH_BELOW = 2; // zoom from which pixels are shown as squares
  const state = { images: [], shown: PAGE, id: null, details: null, info: null, opening: 0 };
  // The pictures on the stage: `left` fills it, `right` covers what is right of the divider.
  const slots = { left: [], right: [] };
  let divider = 0.5;

  const encode = (id) => encodeURIComponent(id).replace(/[!'()*]/g, (c) => "%" + c.charCodeAt(0).toString(16).toUpperCase());
  const bytes = (n) => (n < 1000 ? `${n} bytes` : n < 1e6 ? `${(n / 1e3).toPrecision(3)} kB` : `${(n / 1e6).toPrecision(3)} MB`);
  const say = (text) => { $("message").textContent = text; };
  const root = new URL(".", document.baseURI).href.replace(/\/$/, "");

  function service(id, picture) {
    const layers = picture.layers ? `;layers=${picture.layers}` : "";
    return `${root}/iiif/3${layers}${picture.stock ? ";decode=stock" : ""}/${encode(id)}`;
  }

  async function json(path) {
    const response = await fetch(`${root}/${path}`);
    if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
    return response.json();
  }

  /* ---- the list ---- */

  function showList() {
    const wanted = $("filter").value.trim().toLowerCase();
    const found = state.images.filter((id) => id.toLowerCase().includes(wanted));
    const list = $("images");
    list.replaceChildren(...found.slice(0, state.shown).map(listEntry));
    $("more").hidden = found.length <= state.shown;
    markCurrent();
  }

  function listEntry(id) {
    const slash = id.lastIndexOf("/");
    const link = document.createElement("a");
    link.href = `#image=${encode(id)}`;
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
    const entry = document.createElement("li");
    entry.append(link);
    return entry;
  }

  function markCurrent() {
    for (const link of $("images").querySelectorAll("a")) {
      if (link.dataset.id === state.id) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  /* ---- the stage ---- */

  // OpenSeadragon adds a style element unless it finds one; the page's policy allows styles from files only.
  const placeholder = document.createElement("style");
  placeholder.setAttribute("data-openseadragon-mobile-css", "true");
  document.head.append(placeholder);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const viewer = OpenSeadragon({
    element: $("view"), drawer: "canvas", showNavigationControl: false, crossOriginPolicy: false,
    animationTime: still ? 0 : 0.5, blendTime: 0, imageLoaderLimit: 6, maxZoomPixelRatio: 16, minZoomImageRatio: 0.5,
    visibilityRatio: 0.4, timeout: 300000, gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
  });
  viewer.canvas.setAttribute("aria-label", "Image: arrow keys move, plus and minus zoom, 0 shows it whole");
  viewer.canvas.setAttribute("role", "application");

  const leftPicture = () => ({ layers: Number($("layers").value) < layerCount() ? Number($("layers").value) : 0 });
  function rightPicture() {
    if ($("compare").value === "stock") return { ...leftPicture(), stock: true };
    if ($("compare").value === "layers") {
      const layers = Number($("other-layers").value);
      return { layers: layers < layerCount() ? layers : 0 };
    }
    return null;
  }
  const layerCount = () => (state.details ? state.details.layers.length : 1);

  function put(slot, picture) {
    const items = slots[slot];
    const wanted = picture && `${service(state.id, picture)} ${$("exact").checked}`;
    if (items.length && items[items.length - 1].wanted === wanted) return;
    if (!picture) { remove(slot, items.length); return; }
    const entry = { wanted, item: null };
    items.push(entry);
    const source = { ...state.info, id: service(state.id, picture), tileFormat: $("exact").checked ? "png" : "jpg" };
    const opening = state.opening;
    viewer.addTiledImage({
      tileSource: source,
      index: slot === "left" ? slots.left.filter((e) => e.item).length : viewer.world.getItemCount(),
      success: ({ item }) => {
        if (opening !== state.opening || !slots[slot].includes(entry)) { viewer.world.removeItem(item); return; }
        entry.item = item;
        clip();
        // the picture before stays below until this one is complete
        const settle = () => { if (item.getFullyLoaded()) { remove(slot, slots[slot].indexOf(entry)); showBusy(); } };
        item.addHandler("fully-loaded-change", settle);
        settle();
        document.body.dataset.open = state.id;
        showBusy();
      },
      error: ({ message }) => say(message),
    });
  }

  function remove(slot, count) {
    for (const { item } of slots[slot].splice(0, Math.max(0, count))) if (item) viewer.world.removeItem(item);
  }

  function clip() {
    const both = slots.right.length > 0;
    const at = both ? divider * viewer.container.clientWidth : null;
    for (const slot of ["left", "right"]) {
      for (const { item } of slots[slot]) {
        if (!item) continue;
        if (at === null) { item.setClip(null); continue; }
        const size = item.getContentSize();
        const x = item.viewerElementToImageCoordinates(new OpenSeadragon.Point(at, 0)).x;
        const cut = Math.min(Math.max(x, 0), size.x);
        // an empty clip counts as none: leave a sliver nobody sees
        const rect = slot === "left" ? [0, Math.max(cut, 1e-3)] : [Math.min(cut, size.x - 1e-3), size.x];
        item.setClip(new OpenSeadragon.Rect(rect[0], 0, rect[1] - rect[0], size.y));
      }
    }
  }

  function showBusy() {
    const all = [...slots.left, ...slots.right];
    document.body.dataset.busy = String(all.some((e) => !e.item || !e.item.getFullyLoaded()));
  }

  function showZoom() {
    const item = viewer.world.getItemAt(0);
    if (!item) { $("zoom").textContent = ""; return; }
    const zoom = item.viewportToImageZoom(viewer.viewport.getZoom(true)) * (window.devicePixelRatio || 1);
    $("zoom").textContent = `${zoom < 0.1 ? (100 * zoom).toFixed(1) : Math.round(100 * zoom)} %`;
    viewer.drawer.setImageSmoothingEnabled(zoom < SMOOTH_BELOW);
  }

  function moveDivider(to) {
    divider = Math.min(Math.max(to, 0), 1);
    const percent = Math.round(100 * divider);
    $("divider").style.left = `${100 * divider}%`;
    $("divider").setAttribute("aria-valuenow", String(percent));
    $("divider").setAttribute("aria-valuetext", `${percent} per cent of the width is the left picture`);
    clip();
  }

  /* ---- one image ---- */

  async function open(id, wish) {
    const opening = ++state.opening;
    say("Loading…");
    try {
      const [details, info] = await Promise.all([json(`api/images/${encode(id)}`), json(`iiif/3/${encode(id)}/info.json`)]);
      if (opening !== state.opening) return;
      Object.assign(state, { id, details, info });
      viewer.world.removeAll();
      slots.left.length = slots.right.length = 0;
      say("");
    } catch (error) {
      if (opening !== state.opening) return;
      viewer.world.removeAll();
      slots.left.length = slots.right.length = 0;
      Object.assign(state, { id, details: null, info: null });
      $("name").textContent = id;
      $("facts").textContent = "";
      markCurrent();
      say(`This image cannot be shown: ${error.message}`);
      return;
    }
    const { details } = state;
    const count = layerCount();
    for (const [slider, value] of [["layers", wish.layers || count], ["other-layers", wish.other || Math.max(1, Math.floor(count / 2))]]) {
      $(slider).max = String(count);
      $(slider).value = String(Math.min(value, count));
      $(slider).disabled = count === 1;
    }
    const [none, stock, layers] = $("compare").options;
    none.disabled = false;
    stock.disabled = !details.learned;
    layers.disabled = count === 1;
    $("compare").disabled = stock.disabled && layers.disabled;
    const option = wish.other ? layers : wish.stock ? stock : none;
    $("compare").value = option.disabled ? "" : option.value;
    $("name").textContent = id.slice(id.lastIndexOf("/") + 1);
    document.title = `${$("name").textContent} · wavelic`;
    const kind = { lifting: details.learned ? "learned lifting, JPEG 2000" : "wavelic JPEG 2000", jpeg2000: "JPEG 2000" }[details.codec] || `wavelic, codec ${details.codec}`;
    const rate = (8 * details.bytes) / (details.width * details.height);
    $("facts").textContent = `${details.width} × ${details.height} · ${kind} · ${bytes(details.bytes)} · ${rate.toPrecision(3)} bits per pixel`;
    markCurrent();
    update();
  }

  function describe(layers) {
    const sizes = state.details ? state.details.layers : [];
    if (sizes.length <= 1) return "one layer";
    const size = sizes[layers - 1];
    if (layers === sizes.length) return `${layers} of ${layers} · all ${bytes(state.details.bytes)}`;
    return `${layers} of ${sizes.length}` + (size === null ? "" : ` · first ${bytes(size)} of ${bytes(state.details.bytes)}`);
  }

  function update() {
    if (!state.info) return;
    const right = rightPicture();
    $("layers-text").textContent = describe(Number($("layers").value));
    $("other-text").textContent = describe(Number($("other-layers").value));
    $("other").hidden = $("compare").value !== "layers";
    put("left", leftPicture());
    put("right", right);
    $("divider").hidden = $("tag-left").hidden = $("tag-right").hidden = !right;
    if (right) {
      const layers = (slider) => `layer ${$(slider).value} of ${layerCount()}`;
      $("tag-left").textContent = right.stock ? "wavelic" : layers("layers");
      $("tag-right").textContent = right.stock ? "other JPEG 2000 software" : layers("other-layers");
    }
    clip();
    showBusy();
    const address = new URLSearchParams({ image: state.id });
    if (leftPicture().layers) address.set("layers", $("layers").value);
    if (right) address.set("with", right.stock ? "stock" : $("other-layers").value);
    history.replaceState(null, "", `#${address}`);
  }

  function follow() {
    const address = new URLSearchParams(location.hash.slice(1));
    const id = address.get("image") || state.images[0];
    if (!id) { say("This folder has no .jp2 or .wlic files."); return; }
    const other = address.get("with");
    open(id, { layers: Number(address.get("layers")), stock: other === "stock", other: other === "stock" ? 0 : Number(other) });
  }

  /* ---- events ---- */

  let timer = 0;
  const soon = () => {
    $("layers-text").textContent = describe(Number($("layers").value));
    $("other-text").textContent = describe(Number($("other-layers").value));
    clearTimeout(timer);
    timer = setTimeout(update, 120);
  };
  const step = (slider, by) => {
    slider.value = String(Number(slider.value) + by);
    soon();
  };
  const walk = (by) => {
    const at = state.images.indexOf(state.id) + by;
    if (at >= 0 && at < state.images.length) location.hash = `image=${encode(state.images[at])}`;
  };
  const compareNext = () => {
    const options = [...$("compare").options].filter((o) => !o.disabled);
    const at = options.findIndex((o) => o.value === $("compare").value);
    $("compare").value = options[(at + 1) % options.length].value;
    update();
  };
  const actual = () => {
    const item = viewer.world.getItemAt(0);
    if (item) viewer.viewport.zoomTo(item.imageToViewportZoom(1 / (window.devicePixelRatio || 1)));
  };
  const zoomBy = (factor) => { viewer.viewport.zoomBy(factor); viewer.viewport.applyConstraints(); };
  const keys = {
    "[": () => step($("layers"), -1), "]": () => step($("layers"), 1), c: compareNext, n: () => walk(1), p: () => walk(-1),
    "1": actual, ",": () => moveDivider(divider - 0.05), ".": () => moveDivider(divider + 0.05),
  };
  const onView = { "+": () => zoomBy(1.6), "=": () => zoomBy(1.6), "-": () => zoomBy(1 / 1.6), "0": () => viewer.viewport.goHome() };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inText = event.target.matches("input[type=search], select");
    const action = inText ? null : keys[event.key] || (viewer.canvas.contains(event.target) ? null : onView[event.key]);
    if (action) { action(); event.preventDefault(); }
  });
  $("divider").addEventListener("keydown", (event) => {
    const to = { ArrowLeft: divider - 0.02, ArrowRight: divider + 0.02, ArrowDown: divider - 0.02, ArrowUp: divider + 0.02,
      PageDown: divider - 0.1, PageUp: divider + 0.1, Home: 0, End: 1 }[event.key];
    if (to !== undefined) { moveDivider(to); event.preventDefault(); event.stopPropagation(); }
  });
  $("divider").addEventListener("pointerdown", (event) => {
    $("divider").setPointerCapture(event.pointerId);
    $("divider").focus({ focusVisible: false });
    event.preventDefault();
  });
  $("divider").addEventListener("pointermove", (event) => {
    if (!$("divider").hasPointerCapture(event.pointerId)) return;
    const box = $("stage").getBoundingClientRect();
    moveDivider((event.clientX - box.left) / box.width);
  });
  $("layers").addEventListener("input", soon);
  $("other-layers").addEventListener("input", soon);
  for (const id of ["compare", "exact"]) $(id).addEventListener("change", update);
  document.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  $("filter").addEventListener("input", () => { state.shown = PAGE; showList(); });
  $("more").addEventListener("click", () => { state.shown += PAGE; showList(); });
  $("zoom-in").addEventListener("click", () => zoomBy(1.6));
  $("zoom-out").addEventListener("click", () => zoomBy(1 / 1.6));
  $("fit").addEventListener("click", () => viewer.viewport.goHome());
  $("actual").addEventListener("click", actual);
  viewer.addHandler("animation", () => { clip(); showZoom(); });
  viewer.addHandler("resize", () => setTimeout(clip));
  viewer.world.addHandler("add-item", showZoom);
  viewer.addHandler("tile-load-failed", () => { say("Part of this image could not be loaded."); showBusy(); });
  viewer.addHandler("tile-drawn", showBusy);
  window.addEventListener("hashchange", follow);

  /* ---- bytes of the file that the tiles so far were decoded from ---- */

  const read = { id: null, seen: new Set(), waiting: [], ranges: [], timer: 0 };

  function join(ranges) {
    const joined = [];
    for (const [start, stop] of ranges.sort((a, b) => a[0] - b[0])) {
      const last = joined[joined.length - 1];
      if (last && start <= last[1]) last[1] = Math.max(last[1], stop);
      else joined.push([start, stop]);
    }
    return joined;
  }

  async function countRead() {
    read.timer = 0;
    const { id } = read;
    const tiles = read.waiting.splice(0, 64);
    if (!tiles.length) return;
    try {
      const answer = await json(`api/ranges/${encode(id)}/${tiles.join(",")}`);
      if (id !== read.id) return;
      read.ranges = join([...read.ranges, ...answer.ranges]);
      const sum = read.ranges.reduce((total, [start, stop]) => total + stop - start, 0);
      $("read").textContent = `${bytes(sum)} of ${bytes(answer.bytes)}, ${Math.round((100 * sum) / answer.bytes)} %`;
      $("read").dataset.bytes = String(sum);
    } catch { // a busy server: ask again with the next tile
      if (id === read.id) read.waiting.push(...tiles);
      return;
    }
    if (read.waiting.length && !read.timer) read.timer = setTimeout(countRead, 100);
  }

  viewer.addHandler("tile-loaded", ({ tile, tiledImage }) => {
    const { source } = tiledImage;
    if (!source.id.endsWith(`/${encode(state.id)}`)) return; // of the image before
    if (state.id !== read.id) {
      Object.assign(read, { id: state.id, seen: new Set(), waiting: [], ranges: [] });
      $("read").textContent = "";
    }
    const options = source.id.slice(`${root}/iiif/3`.length).split("/")[0];
    const layers = /layers=(\d+)/.exec(options);
    const name = `${options.includes("stock") ? "s" : ""}${layers ? layers[1] : 0}.${source.maxLevel - tile.level}.${tile.x}.${tile.y}`;
    if (read.seen.has(name)) return;
    read.seen.add(name);
    read.waiting.push(name);
    if (!read.timer) read.timer = setTimeout(countRead, 100);
  });

  let received = 0;
  let requests = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (!entry.name.startsWith(`${root}/iiif/3`)) continue;
      received += entry.transferSize;
      requests += entry.transferSize > 0 ? 1 : 0;
    }
    performance.clearResourceTimings();
    if (requests) $("received").textContent = `${bytes(received)} in ${requests} answers`;
  }).observe({ type: "resource", buffered: true });

  json("api/images").then((list) => {
    state.images = list.images;
    $("folder").textContent = `${list.folder} · ${list.images.length}${list.complete ? "" : "+"} image${list.images.length === 1 ? "" : "s"}`;
    showList();
    follow();
  }, (error) => say(`The list of images could not be loaded: ${error.message}`));
})();
