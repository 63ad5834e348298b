"use strict";
/* The page: which image, which pictures of it, keys.
   What is shown is in the address, so that a link shows the same: #image=a/b.jp2&layers=3&with=stock (or with=2), and
   enhance=1, exact=1 for the two switches. */
(() => {
  const { $, encode, bytes, json, stage, library } = window.wavelic;
  const state = { id: null, details: null, info: null, opening: 0 };

  const layerCount = () => (state.details ? state.details.layers.length : 1);
  const can = (decode) => Boolean(state.details && state.details.decodes.includes(decode));
  const chosen = (slider) => { const value = Number($(slider).value); return value < layerCount() ? value : 0; };
  const ownDecode = () => ($("enhance").checked && can("enhanced") ? "enhanced" : "");

  const leftPicture = () => ({ layers: chosen("layers"), decode: ownDecode() });
  function rightPicture() {
    return {
      stock: { ...leftPicture(), decode: "stock" },
      plain: { ...leftPicture(), decode: "" },
      layers: { layers: chosen("other-layers"), decode: ownDecode() },
    }[$("compare").value] || null;
  }

  const POLL = 2000; // ms between two looks at a file that is still arriving

  async function open(id, wish) {
    const opening = ++state.opening;
    stage.say("Loading…");
    library.mark(id);
    try {
      const [details, info] = await Promise.all([json(`api/images/${encode(id)}`), json(`iiif/3/${encode(id)}/info.json`)]);
      if (opening !== state.opening) return;
      Object.assign(state, { id, details, info });
      stage.clear();
      stage.say("");
    } catch (error) {
      if (opening !== state.opening) return;
      stage.clear();
      Object.assign(state, { id, details: null, info: null });
      $("name").textContent = id;
      $("facts").textContent = "";
      stage.say(`This image cannot be shown: ${error.message}`);
      return;
    }
    const count = layerCount();
    for (const [slider, value] of [["layers", wish.layers || count], ["other-layers", wish.other || Math.max(1, Math.floor(count / 2))]]) {
      $(slider).max = String(count);
      $(slider).value = String(Math.min(value, count));
      $(slider).disabled = count === 1;
    }
    $("enhance-control").hidden = !can("enhanced");
    if (wish.enhance) $("enhance").checked = true;
    if (wish.exact) $("exact").checked = true;
    $("compare").value = wish.with;
    allow();
    $("name").textContent = id.slice(id.lastIndexOf("/") + 1);
    document.title = `${$("name").textContent} · wavelic`;
    describeFile();
    if (state.details.first && chosen("layers") === 0) stage.begin(id, state.details.first, state.details.bytes);
    update();
    followGrowth(opening);
  }

  function describeFile() {
    const { details } = state;
    const kinds = { lifting: can("stock") ? "learned lifting, JPEG 2000" : "wavelic JPEG 2000", jp2: "JPEG 2000", jpeg2000: "JPEG 2000" };
    const rate = (8 * details.bytes) / (details.width * details.height);
    $("facts").textContent = `${details.width} × ${details.height} · ${kinds[details.codec] || `wavelic, codec ${details.codec}`} · ${bytes(details.bytes)} · ${rate.toPrecision(3)} bits per pixel${details.complete ? "" : " · incomplete"}`;
    if (!details.complete) stage.say("What is there of an incomplete file");
  }

  /* Show more of a file as it arrives. */
  async function followGrowth(opening) {
    while (opening === state.opening && !state.details.complete) {
      await new Promise((done) => setTimeout(done, POLL));
      const details = await json(`api/images/${encode(state.id)}`).catch(() => null);
      if (opening !== state.opening) return;
      if (!details || details.bytes === state.details.bytes) continue;
      state.details = details;
      const all = $("layers").value === $("layers").max;
      for (const slider of ["layers", "other-layers"]) $(slider).max = String(layerCount());
      if (all) $("layers").value = $("layers").max;
      $("layers").disabled = $("other-layers").disabled = layerCount() === 1;
      stage.say("");
      describeFile();
      update();
    }
  }

  /* Offer the comparisons that make sense for this image; give up one that does not. */
  function allow() {
    const able = { "": true, stock: can("stock"), layers: layerCount() > 1, plain: ownDecode() !== "" };
    for (const option of $("compare").options) {
      option.disabled = !able[option.value];
      option.hidden = option.value === "plain" && !can("enhanced");
    }
    if (!able[$("compare").value] || $("compare").selectedIndex < 0) $("compare").value = "";
    $("compare").disabled = !(able.stock || able.layers || able.plain);
  }

  function describe(layers) {
    const sizes = state.details ? state.details.layers : [];
    if (sizes.length <= 1) return "one layer";
    const size = sizes[layers - 1];
    if (layers === sizes.length) return `${layers} of ${layers} · all ${bytes(state.details.bytes)}`;
    return `${layers} of ${sizes.length}` + (size === null ? "" : ` · first ${bytes(size)} of ${bytes(state.details.bytes)}`);
  }

  function describeLayers() {
    $("layers-text").textContent = describe(Number($("layers").value));
    $("other-text").textContent = describe(Number($("other-layers").value));
  }

  function update() {
    if (!state.info) return;
    allow();
    const right = rightPicture();
    const format = $("exact").checked ? "png" : "jpg";
    describeLayers();
    $("other").hidden = $("compare").value !== "layers";
    stage.put("left", state.id, state.info, leftPicture(), format, state.details.bytes);
    stage.put("right", state.id, state.info, right, format, state.details.bytes);
    $("divider").hidden = $("tag-left").hidden = $("tag-right").hidden = !right;
    if (right) {
      const layer = (slider) => `layer ${$(slider).value} of ${layerCount()}`;
      const tags = { stock: ["wavelic", "other JPEG 2000 software"], plain: ["enhanced", "not enhanced"] };
      [$("tag-left").textContent, $("tag-right").textContent] = tags[$("compare").value] || [layer("layers"), layer("other-layers")];
    }
    stage.clip();
    stage.showBusy();
    const address = new URLSearchParams({ image: state.id });
    if (leftPicture().layers) address.set("layers", $("layers").value);
    if (right) address.set("with", $("compare").value === "layers" ? $("other-layers").value : $("compare").value);
    if (ownDecode()) address.set("enhance", "1");
    if ($("exact").checked) address.set("exact", "1");
    history.replaceState(null, "", `#${address}`);
  }

  function follow() {
    const address = new URLSearchParams(location.hash.slice(1));
    const id = address.get("image") || library.first();
    if (!id) { stage.say("This folder has no images that can be shown."); return; }
    const other = Number(address.get("with")) || 0;
    const compare = other ? "layers" : address.get("with") || "";
    open(id, { layers: Number(address.get("layers")), with: compare, other, enhance: address.has("enhance"), exact: address.has("exact") });
  }

  /* ---- events ---- */

  let timer = 0;
  const soon = () => {
    describeLayers();
    clearTimeout(timer);
    timer = setTimeout(update, 120);
  };
  const step = (slider, by) => {
    slider.value = String(Number(slider.value) + by);
    soon();
  };
  const compareNext = () => {
    const options = [...$("compare").options].filter((o) => !o.disabled);
    const at = options.findIndex((o) => o.value === $("compare").value);
    $("compare").value = options[(at + 1) % options.length].value;
    update();
  };
  const enhance = () => {
    if (!can("enhanced")) return;
    $("enhance").checked = !$("enhance").checked;
    update();
  };
  const keys = {
    "[": () => step($("layers"), -1), "]": () => step($("layers"), 1), c: compareNext, e: enhance,
    n: () => library.step(1), p: () => library.step(-1), "/": library.find,
    "1": stage.actual, ",": () => stage.moveDividerBy(-0.05), ".": () => stage.moveDividerBy(0.05),
  };
  const onView = { "+": () => stage.zoomBy(1.6), "=": () => stage.zoomBy(1.6), "-": () => stage.zoomBy(1 / 1.6), "0": stage.whole };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inText = event.target.matches("input[type=search], select");
    const action = inText ? null : keys[event.key] || (stage.viewer.canvas.contains(event.target) ? null : onView[event.key]);
    if (action) { action(); event.preventDefault(); }
  });
  $("layers").addEventListener("input", soon);
  $("other-layers").addEventListener("input", soon);
  for (const id of ["compare", "exact", "enhance"]) $(id).addEventListener("change", update);
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", follow);

  json("api/images").then((list) => { library.fill(list); follow(); },
    (error) => stage.say(`The list of images could not be loaded: ${error.message}`));
})();
