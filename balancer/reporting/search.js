"use strict";
// Hides the rows and the folded blocks in which the words are not. Without a script all is shown.
const find = document.getElementById("find"), all = [...document.querySelectorAll(".searched details.reading, .searched .plain tbody tr")];
const said = new Map(), text = each => said.get(each) ?? said.set(each, each.textContent.toLowerCase()).get(each);
document.getElementById("finding").hidden = false;
find.addEventListener("input", () => {
  const words = find.value.trim().toLowerCase();
  let hits = 0;
  for (const each of all) {
    const above = each.parentElement.closest("details.reading"), summary = each.querySelector(":scope > summary");
    const hit = !words || text(each).includes(words), within = above && text(above.querySelector(":scope > summary")).includes(words);
    each.hidden = !hit && !within;
    hits += hit && !above;
    if (summary) each.open = words !== "" && hit && !text(summary).includes(words);
  }
  document.getElementById("hits").textContent = words ? `${hits} found` : "";
});
