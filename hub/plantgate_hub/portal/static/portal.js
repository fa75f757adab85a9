// What every signed-in page does beyond what HTML does by itself.
import { follow } from "./live.js";
import { showLocally } from "./moments.js";
import { copies } from "./copy.js";
import { loads } from "./loads.js";

showLocally(document);
copies(document);
follow();
loads(document);

// The account menu closes like a menu: by Escape, or when something else is touched.
const menu = document.getElementById("menu");
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu.open) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  if (menu.open && !menu.contains(event.target)) menu.open = false;
});
