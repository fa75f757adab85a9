// Makes the key pair of a new or rotated profile. The form gets the public key only; the private key stays in the
// variable `privateKey`, from which the complete file is assembled here.
import { canMakeKeys, completeFile, makeKeyPair } from "./keys.js";
import { copy } from "./copy.js";

const form = document.querySelector("form[data-makes-key]");
const refused = form.querySelector("[data-refused]");
const ownKey = form.querySelector(".own-key");

if (await canMakeKeys()) {
  ownKey.open = Boolean(form.elements.public_key.value);
  form.addEventListener("submit", submit);
} else {
  form.querySelector("[data-too-old]").hidden = false;
}

async function submit(event) {
  if (form.elements.public_key.value) return; // a key of the person's own: the form goes as it is
  event.preventDefault();
  if (form.ariaBusy === "true") return;
  form.ariaBusy = "true";
  refused.hidden = true;
  try {
    const { publicKey, privateKey } = await makeKeyPair();
    const made = await send(publicKey);
    handOver(completeFile(made.config, made.placeholder, privateKey));
  } catch (error) {
    refused.textContent = error.message;
    refused.hidden = false;
  } finally {
    form.ariaBusy = "false";
  }
}

async function send(publicKey) {
  const fields = new URLSearchParams(new FormData(form));
  fields.set("public_key", publicKey);
  const answer = await fetch(form.action, { method: "POST", body: fields, headers: { Accept: "application/json" } });
  const type = answer.headers.get("Content-Type") ?? "";
  if (answer.redirected || !type.startsWith("application/json")) location.reload(); // signed out meanwhile
  const made = await answer.json();
  if (!answer.ok) throw new Error(made.error);
  return made;
}

function handOver(file) {
  const shown = document.querySelector("template[data-made]").content.cloneNode(true);
  const address = URL.createObjectURL(new Blob([file], { type: "text/plain" }));
  shown.querySelector("[data-file]").href = address;
  shown.querySelector("[data-text]").textContent = file;
  const button = shown.querySelector("[data-copy]");
  button.addEventListener("click", () => copy(button, file));
  form.replaceWith(shown);
  const card = document.querySelector(".made");
  card.scrollIntoView({ block: "nearest" });
  card.focus();
}
