"use strict";
/* The stage: deep zoom by OpenSeadragon of one picture, or of two at either side of a divider. */
window.wavelic.stage = (() => {
  const { $, service } = window.wavelic;
  const FIRST = "first view";
  const SMOOTH_BELOW = 2; // zoom from which pixels are shown as squares
  // The pictures on the stage: `left` fills it, `right` covers what is right of the divider.
  const slots = { left: [], right: [] };
  let divider = 0.5;
  let opening = 0;

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

  const say = (text) => { $("message").textContent = text; };

  function clear() {
    opening += 1;
    viewer.world.removeAll();
    slots.left.length = slots.right.length = 0;
  }

  /* Show a small picture of few layers, which a few percent of the file are enough for, until the picture itself is
     there.  `first` is its width, height and layers. */
  function begin(id, first, bytes) {
    const entry = { wanted: FIRST, item: null };
    slots.left.push(entry);
    const mine = opening;
    const gone = () => mine !== opening || !slots.left.includes(entry);
    viewer.addSimpleImage({
      url: `${service(id, { layers: first.layers, decode: "" })}/full/${first.width},${first.height}/0/default.jpg?first=${bytes}`,
      index: 0,
      success: ({ item }) => {
        if (gone()) { viewer.world.removeItem(item); return; }
        entry.item = item;
        document.body.dataset.first = id;
        clip();
      },
      error: () => { if (!gone()) slots.left.splice(slots.left.indexOf(entry), 1); },
    });
  }

  /* Show a picture of an image in a slot; null: nothing.  `info` is the image's info.json, `bytes` the size of the file:
     of one that is still arriving the same address shows more and more. */
  function put(slot, id, info, picture, format, bytes) {
    const items = slots[slot];
    const wanted = picture && `${service(id, picture)} ${format} ${bytes}`;
    if (items.length && items[items.length - 1].wanted === wanted) return;
    if (!picture) { remove(slot, items.length); return; }
    const entry = { wanted, item: null };
    items.push(entry);
    const mine = opening;
    const { IIIFTileSource } = OpenSeadragon;
    const described = IIIFTileSource.prototype.configure({ ...info, id: service(id, picture), tileFormat: format });
    const tileSource = new IIIFTileSource(described);
    const address = tileSource.getTileUrl.bind(tileSource);
    tileSource.getTileUrl = (...tile) => `${address(...tile)}?${bytes}`;
    viewer.addTiledImage({
      tileSource,
      index: slot === "left" ? slots.left.filter((e) => e.item).length : viewer.world.getItemCount(),
      success: ({ item }) => {
        if (mine !== opening || !items.includes(entry)) { viewer.world.removeItem(item); return; }
        entry.item = item;
        clip();
        showZoom();
        // the picture before stays below until this one is complete
        const settle = () => { if (item.getFullyLoaded()) { remove(slot, items.indexOf(entry)); showBusy(); } };
        item.addHandler("fully-loaded-change", settle);
        settle();
        document.body.dataset.open = id;
        showBusy();
      },
      error: ({ message }) => say(message),
    });
  }

  function remove(slot, count) {
    for (const { item } of slots[slot].splice(0, Math.max(0, count))) if (item) viewer.world.removeItem(item);
  }

  function clip() {
    const at = slots.right.length > 0 ? divider * viewer.container.clientWidth : null;
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

  /* What fills the stage, not its first view. */
  const main = () => (slots.left.find((e) => e.item && e.wanted !== FIRST) || { item: null }).item;

  function showZoom() {
    const item = main();
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

  const zoomBy = (factor) => { viewer.viewport.zoomBy(factor); viewer.viewport.applyConstraints(); };
  const whole = () => viewer.viewport.goHome();
  function actual() {
    const item = main();
    if (item) viewer.viewport.zoomTo(item.imageToViewportZoom(1 / (window.devicePixelRatio || 1)));
  }

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
  $("zoom-in").addEventListener("click", () => zoomBy(1.6));
  $("zoom-out").addEventListener("click", () => zoomBy(1 / 1.6));
  $("fit").addEventListener("click", whole);
  $("actual").addEventListener("click", actual);
  viewer.addHandler("animation", () => { clip(); showZoom(); });
  viewer.addHandler("resize", () => setTimeout(clip));
  viewer.world.addHandler("add-item", showZoom);
  viewer.addHandler("tile-load-failed", () => { say("Part of this image could not be loaded."); showBusy(); });
  viewer.addHandler("tile-drawn", showBusy);

  return { viewer, clear, begin, put, clip, showBusy, say, zoomBy, whole, actual, moveDividerBy: (by) => moveDivider(divider + by) };
})();
