// The picture viewer: two pictures of one set as slider, flicker or amplified difference.  No pixel is ever read by the
// script (file:// pages may not), so the difference is made by the browser's own blending.
"use strict";
(() => {
  const sets = JSON.parse(document.getElementById("pictures-data").textContent);
  const $ = (id) => document.getElementById(id);
  const viewer = $("viewer"), stage = $("stage"), slider = $("slider");
  const state = { set: 0, a: 0, b: Math.min(1, sets[0].entries.length - 1), mode: "slider", zoom: "fit", gain: 4, shown: "a" };

  function fill(select, labels, chosen) {
    select.replaceChildren(...labels.map((label, i) => new Option(label, i, false, i === chosen)));
  }

  function applyZoom() {
    const { width } = sets[state.set];
    const fit = stage.clientWidth;
    const css = state.zoom === "fit" ? Math.min(fit, width * 2) : (width * Number(state.zoom)) / window.devicePixelRatio;
    stage.style.setProperty("--width", `${css}px`);
    viewer.classList.toggle("pixelated", state.zoom !== "fit");
  }

  function press(attribute, value) {
    for (const button of viewer.querySelectorAll(`button[data-${attribute}]`))
      button.setAttribute("aria-pressed", String(button.dataset[attribute] === value));
  }

  function show() {
    const { entries } = sets[state.set];
    for (const side of ["a", "b"]) {
      const entry = entries[state[side]];
      $(`slider-${side}`).src = $(`stack-${side}`).src = entry.file;
      $(`facts-${side}`).textContent = `${entry.label} · ${entry.facts}`;
      $(`choice-${side}`).value = state[side];
    }
    viewer.dataset.mode = state.mode;
    viewer.dataset.shown = state.shown;
    viewer.style.setProperty("--gain", state.gain);
    $("gain-value").textContent = `×${state.gain}`;
    press("mode", state.mode);
    press("zoom", state.zoom);
    applyZoom();
  }

  function chooseSet(index) {
    state.set = index;
    const { entries } = sets[index];
    const labels = entries.map((entry) => entry.label);
    state.a = Math.min(state.a, labels.length - 1);
    state.b = Math.min(state.b, labels.length - 1);
    fill($("choice-a"), labels, state.a);
    fill($("choice-b"), labels, state.b);
    $("picture").value = index;
    show();
  }

  function cycle(side, step) {
    const count = sets[state.set].entries.length;
    state[side] = (state[side] + step + count) % count;
    show();
  }

  const keys = {
    s: () => { state.mode = "slider"; }, f: () => { state.mode = "flicker"; }, d: () => { state.mode = "difference"; },
    0: () => { state.zoom = "fit"; }, 1: () => { state.zoom = "1"; }, 2: () => { state.zoom = "2"; }, 4: () => { state.zoom = "4"; },
    q: () => cycle("a", -1), a: () => cycle("a", 1), w: () => cycle("b", -1), z: () => cycle("b", 1),
    n: () => chooseSet((state.set + 1) % sets.length),
    " ": () => { state.mode = "flicker"; state.shown = state.shown === "a" ? "b" : "a"; },
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || /^(SELECT|BUTTON|SUMMARY|INPUT|A)$/.test(event.target.tagName)) return;
    const slide = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
    if (slide && state.mode === "slider" && state.zoom === "fit" && event.target.tagName === "BODY") {
      slider.value = Math.min(100, Math.max(0, Number(slider.value) + slide));
      return;
    }
    const action = keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
    show();
  });

  fill($("picture"), sets.map((set) => `${set.name}, ${set.target.toLocaleString("en")} bytes`), 0);
  $("picture").addEventListener("change", (event) => chooseSet(Number(event.target.value)));
  for (const side of ["a", "b"])
    $(`choice-${side}`).addEventListener("change", (event) => { state[side] = Number(event.target.value); show(); });
  for (const button of viewer.querySelectorAll("button[data-mode], button[data-zoom]"))
    button.addEventListener("click", () => {
      if (button.dataset.mode) state.mode = button.dataset.mode; else state.zoom = button.dataset.zoom;
      show();
    });
  $("gain").addEventListener("input", (event) => { state.gain = Number(event.target.value); show(); });
  for (const button of document.querySelectorAll(".pick"))
    button.addEventListener("click", () => {
      state.b = Number(button.dataset.entry);
      chooseSet(Number(button.dataset.set));
      viewer.scrollIntoView({ block: "start" });
    });
  stage.addEventListener("click", () => { if (state.mode === "flicker") { keys[" "](); show(); } });
  window.addEventListener("resize", applyZoom);
  chooseSet(0);
})();
