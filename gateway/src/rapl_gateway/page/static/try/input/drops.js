// Files that are dropped anywhere on the page.

import { h } from "../../dom.js";

/** Calls `onFiles` with the files of each drop, and shows meanwhile that the page takes them. */
export function acceptDrops(onFiles) {
  const curtain = h("div.curtain", { hidden: true }, h("p", { text: "input.drop" }));
  document.body.append(curtain);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (hasFiles(event)) curtain.hidden = false;
  });
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault(); // else the browser would open the file
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) curtain.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    curtain.hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    if (!event.dataTransfer.files.length) return;
    if (location.hash.startsWith("#/fleet")) location.hash = "#/try"; // where the transcripts are
    onFiles([...event.dataTransfer.files]);
  });
}
