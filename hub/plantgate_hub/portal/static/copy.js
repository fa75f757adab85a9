// Buttons that copy the text of another element; without this script they stay hidden.
export function copies(root) {
  for (const button of root.querySelectorAll("button[data-copies]")) {
    button.hidden = false;
    button.addEventListener("click", () => copy(button, document.getElementById(button.dataset.copies).textContent));
  }
}

export async function copy(button, text) {
  await navigator.clipboard.writeText(text);
  button.textContent = `✓ ${button.textContent.replace("✓ ", "")}`;
}
