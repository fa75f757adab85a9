// Parts of a page that take seconds: each is fetched from where its own link leads, one after the other.
export async function loads(root) {
  for (const part of root.querySelectorAll("[data-loads]")) await load(part);
}

async function load(part) {
  const link = part.querySelector("a");
  show(part, true);
  try {
    const answer = await fetch(link.href, { cache: "no-store" });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const loaded = page.getElementById(part.id);
    if (answer.redirected || !loaded) location.reload(); // signed out, or no longer theirs to see
    else part.replaceChildren(...loaded.childNodes);
  } catch {
    // Offline for the moment: the link is there to try again.
  }
  show(part, false);
  part.querySelector("a").addEventListener("click", (event) => {
    event.preventDefault();
    load(part);
  }, { once: true });
}

function show(part, waiting) {
  part.ariaBusy = String(waiting);
  part.querySelector("[data-waiting]").hidden = !waiting;
  part.querySelector("a").hidden = waiting;
}
