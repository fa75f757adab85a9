// Times in the reader's own time zone and language; without this script they say UTC.
export function showLocally(root) {
  const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
  for (const element of root.querySelectorAll("time[datetime]")) {
    element.title = element.textContent;
    element.textContent = format.format(new Date(element.dateTime));
  }
}
