"use strict";
// Shows what has all the words of the search: rows of the summary, subjects, causes and places.
const search = document.getElementById("search");
search.hidden = false;
const items = [...document.querySelectorAll("tr.row, details.place, li.cause")].map((element) => ({
  element,
  text: element.textContent.toLowerCase(),
}));
search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const { element, text } of items) {
    element.classList.toggle("hidden", !words.every((word) => text.includes(word)));
  }
});
