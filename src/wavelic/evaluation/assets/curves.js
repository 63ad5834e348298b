// Buttons that pick many curves at once.  Each curve's box alone works without a script, by the style sheet.
"use strict";
(() => {
  const buttons = document.getElementById("pick-many");
  const boxes = [...document.querySelectorAll(".picker input")];
  const wanted = { some: (box) => box.defaultChecked, all: () => true, none: () => false };
  for (const button of buttons.querySelectorAll("button"))
    button.addEventListener("click", () => { for (const box of boxes) box.checked = wanted[button.dataset.pick](box); });
  buttons.hidden = false;
})();
