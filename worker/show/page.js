// For all pages. The server has put `GONE` before this: what is said once it is silent for 20 s.
//
// The tab is called as the last part of the page says that has `data-title`. A page that has nothing
// to ask for asks whether the server is there. A question without an answer fails after a minute:
// gradio then loads the page again; otherwise it would wait for that answer for ever, and ask nothing
// any more. Where a login has ended, the page is loaded again, and says so.
document.documentElement.lang = "en";
let lastWord = Date.now(), asking = false;
const named = () => {
  const told = [...document.querySelectorAll("[data-title]")].at(-1)?.dataset.title;
  if (told && document.title !== told) document.title = told;
};
const ask = window.fetch;
window.fetch = async (where, how) => {
  if (String(where).includes("/gradio_api/run/")) {
    how = {signal: AbortSignal.timeout(60000), ...how};
  }
  const answer = await ask(where, how);
  if (answer.ok) lastWord = Date.now();
  if (answer.status === 401) location.reload();
  return answer;
};
const silent = () => document.hidden ? 0 : Date.now() - lastWord;
const isThere = async () => {
  if (asking || silent() < 8000) return;
  asking = true;
  await window.fetch("/robots.txt", {cache: "no-store", signal: AbortSignal.timeout(5000)})
    .catch(() => {});
  asking = false;
};
const gone = () => {
  let line = document.getElementById("gone");
  if (!line) {
    line = document.createElement("div");
    line.id = "gone";
    line.setAttribute("role", "status");
    document.body.append(line);
  }
  const told = silent() > 20000 ? GONE : "";
  if (line.textContent !== told) line.textContent = told;
};
document.addEventListener("visibilitychange", () => {
  lastWord = Math.max(lastWord, Date.now() - 8000);
});
setInterval(() => { isThere(); gone(); named(); }, 1000);

// A question stands before what cannot be undone: its "no" has the focus, Escape says it, and the
// focus is then where it was, or at the button that was drawn in its place.
window.hubtrainAsks = (tries = 40) => {
  const box = document.getElementById("sure"), no = box?.querySelector("[id$='-no']");
  if (!no?.offsetParent) {
    if (tries) setTimeout(window.hubtrainAsks, 50, tries - 1);
    return;
  }
  const by = document.activeElement, {act, what} = by.dataset;
  const same = one => one.dataset.act === act && one.dataset.what === what;
  box.setAttribute("role", "alertdialog");
  box.setAttribute("aria-labelledby", "sure-words");
  no.focus();
  const waits = setInterval(() => {
    if (no.offsetParent) return;
    clearInterval(waits);
    if (document.activeElement !== document.body) return;
    const there = by.isConnected ? by : [...document.querySelectorAll("[data-act]")].find(same);
    there?.focus();
  }, 100);
};
document.addEventListener("keydown", event => {
  const no = event.key === "Escape" && document.querySelector("#sure [id$='-no']");
  if (no?.offsetParent) no.click();
});
