// What is typed is sent, numbered; what comes back is put in place, part by part.
const part = name => element.querySelector(`[data-part="${name}"]`);
const by = id => element.querySelector(`#${id}`);
const form = element.querySelector('form');
let number = Date.now(), whole = 0, drawnOf = 0, waiting = null, leaving = false;
const touched = new Map();  // fields by name: after which message they were touched last

// Answers are counted: where one was lost on its way, all is asked for anew.
const LATE = 10000;
let got = 0, late = null;
const awaitAll = () => { late ??= setTimeout(() => { late = null; send('anew'); }, LATE); };
const send = (kind, more = {}) => {
  trigger('input', {kind, number: ++number, ...more});
  if (!['typed', 'anew'].includes(kind)) whole = number;
  awaitAll();
};
function count(told) {
  if (told.anew || told.turn === got + 1) got = told.turn;
  clearTimeout(late);
  late = null;
  if (got !== told.turn || told.number < number) awaitAll();
}
let last = null;
const soon = (kind, more, ms) => {
  clearTimeout(waiting);
  last = () => { last = null; send(kind, more()); };
  waiting = setTimeout(() => last && last(), ms);
};

function values() {
  const said = {};
  for (const field of form.querySelectorAll('[name]:not([type=radio])')) {
    if (field.type === 'checkbox') {
      if ('said' in field.dataset) said[field.name] = field.checked;
    } else if (field.value.trim() !== '') said[field.name] = field.value;
  }
  return said;
}
const typed = () => ({task: by('task').value, values: values()});
function change(changes) {
  clearTimeout(waiting);
  last = null;
  send('change', {...typed(), changes: JSON.parse(changes)});
}

function opened(place) {
  return [...place.querySelectorAll('details[open]')].map(one => one.dataset.group);
}
function draw(name, html) {
  const place = part(name), open = opened(place), focused = document.activeElement;
  const key = place.contains(focused) ? focused.id : '';
  const at = key && 'selectionStart' in focused ? focused.selectionStart : null;
  place.innerHTML = html;
  for (const one of place.querySelectorAll('details')) one.open = open.includes(one.dataset.group);
  if (!key) return;
  const again = document.getElementById(key);
  if (again) {
    again.focus({preventScroll: true});
    if (at !== null && again.setSelectionRange && again.type === 'text') again.setSelectionRange(at, at);
  }
}
// That a field is empty still is said there once it was left so.
let at = {}, lacking = [];
const left = new Set();
function mark() {
  for (const field of form.querySelectorAll('[data-field]')) {
    const name = field.dataset.field, quiet = lacking.includes(name) && !left.has(name);
    const wrong = quiet ? '' : at[name] || '';
    const line = field.querySelector('.wrong');
    if (line.textContent !== wrong) line.textContent = wrong;
    field.classList.toggle('bad', wrong !== '');
    field.querySelector('[name]')?.setAttribute('aria-invalid', wrong !== '');
    if (wrong) field.closest('details')?.setAttribute('open', '');
  }
}
// Draws the fields as they were said in a message; what was typed since is newer.
function fill(told) {
  const newer = [...touched].filter(([, when]) => when >= told.number).map(([name]) => {
    const field = form.querySelector(`[name="${name}"]`);
    return [name, field?.value, field?.checked];
  });
  drawnOf = told.number;
  draw('source', told.source);
  draw('form', told.form);
  for (const [name, value, checked] of newer) {
    const field = form.querySelector(`[name="${name}"]`);
    if (!field || value === undefined) continue;
    if (field.type === 'checkbox') { field.checked = checked; field.dataset.said = ''; }
    else field.value = value;
  }
  // What waits, or was sent since in place of all the fields, as a command is, is newer than they are.
  if (!last && newer.length && told.number >= whole) soon('typed', typed, 0);
}
function take(told) {
  count(told);
  if ('yaml' in told) keep(told.yaml);
  if ('tasks' in told) {
    by('task').innerHTML = '';
    for (const [name, shown] of told.tasks) by('task').append(new Option(shown, name));
  }
  if ('task' in told) by('task').value = told.task;
  if ('form' in told) {
    if (told.number >= drawnOf) fill(told);
  }
  for (const name of ['help', 'preview', 'learned', 'report', 'machines', 'bar'])
    if (name in told) draw(name, told[name]);
  if ('at' in told) at = told.at;
  if ('lacking' in told) lacking = told.lacking;
  mark();
  for (const name of ['yaml', 'command']) {
    if (name in told && document.activeElement !== by(name)) by(name).value = told[name];
    if (`${name}_wrong` in told) by(`e-${name}`).textContent = told[`${name}_wrong`];
  }
  if ('upload_wrong' in told) by('e-files').textContent = told.upload_wrong;
  if ('models' in told) {
    const list = by('l-model');
    if (list) list.replaceChildren(...told.models.map(name => new Option(name, name)));
    const meaning = by('m-model');
    if (meaning && told.models_note) meaning.textContent = told.models_note;
  }
  if (told.starting) history.replaceState(null, '', `${location.pathname}?starting=${encodeURIComponent(told.starting)}`);
  // What has begun is not written once more: the way back leads past it.
  if (told.go && !leaving) { leaving = true; location.replace(told.go); }
  part('bar').classList.toggle('busy', Boolean(told.busy));
}
window.hubtrainSheet = take;

form.addEventListener('submit', event => event.preventDefault());
form.addEventListener('input', event => {
  const field = event.target;
  if (field.id === 'files' || field.type === 'radio') return;
  touched.set(field.name, number);
  if (field.type === 'checkbox') field.dataset.said = '';
  soon('typed', typed, field.tagName === 'SELECT' || field.type === 'checkbox' ? 0 : 350);
  if (field.name === 'model' && field.type === 'text') {
    clearTimeout(take.models);
    take.models = setTimeout(() => trigger('input', {kind: 'models', text: field.value}), 300);
  }
});
// Gradio's own way to upload never comes back where the connection breaks off.
async function received(file) {
  const sent = new FormData();
  sent.append('files', file);
  const answer = await fetch('/gradio_api/upload', {method: 'POST', body: sent});
  if (!answer.ok) throw new Error(await answer.text() || `the app answers ${answer.status}.`);
  return (await answer.json())[0];
}
// A server that takes no more may close before all was sent: browsers then know no reason.
function uploadFailed(error) {
  if (error instanceof TypeError) return 'the connection broke off. The file may be more than there is room for.';
  return error.message || error;
}
form.addEventListener('focusout', event => {
  if (!event.target.name || !event.target.isConnected) return;
  left.add(event.target.name);
  mark();
});
form.addEventListener('change', async event => {
  const chosen = event.target;
  if (chosen.id !== 'files' || !chosen.files.length) return;
  const most = Number(chosen.dataset.most || Infinity);
  if ([...chosen.files].reduce((sum, file) => sum + file.size, 0) > most) {
    by('e-files').textContent = `That is more than ${chosen.dataset.room}: name a dataset of the Hub instead.`;
    return;
  }
  by('e-files').textContent = `Uploading ${chosen.files.length === 1 ? chosen.files[0].name : `${chosen.files.length} files`}…`;
  try {
    const files = [];
    for (const file of chosen.files) files.push({name: file.name, path: await received(file)});
    send('uploaded', {files, ...typed()});
  } catch (error) {
    by('e-files').textContent = `The upload failed: ${uploadFailed(error)}`;
  }
});
by('task').addEventListener('change', () => send('typed', typed()));
for (const name of ['yaml', 'command'])
  by(name).addEventListener('input', () => soon(name, () => ({text: by(name).value}), 500));

element.addEventListener('click', async event => {
  const pressed = event.target.closest('button, a[href^="#f-"]');
  if (!pressed) return;
  if (pressed.tagName === 'A') {
    const field = document.getElementById(pressed.hash.slice(1));
    field?.closest('details')?.setAttribute('open', '');
    return;
  }
  if (pressed.dataset.changes) change(pressed.dataset.changes);
  if ('offer' in pressed.dataset) last ? last() : send('offer');  // what was typed last is checked first
  if ('rehearse' in pressed.dataset) { pressed.disabled = true; send('rehearse'); }
  if ('sample' in pressed.dataset) { pressed.disabled = true; send('sample', typed()); }
  if ('keep' in pressed.dataset) send('keep');
  if (pressed.dataset.start) { pressed.disabled = true; send('start', {offer: pressed.dataset.start}); }
  if (pressed.id === 'copy-yaml') copy(by('yaml'), pressed);
  if (pressed.id === 'copy-command') copy(by('command'), pressed);
  if (pressed.id === 'save-yaml') {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([by('yaml').value], {type: 'text/yaml'}));
    link.download = 'job.yml';
    link.click();
    URL.revokeObjectURL(link.href);
  }
});
element.addEventListener('change', event => {
  const chosen = event.target;
  if (chosen.name === 'machine') change(chosen.dataset.changes);
});
async function copy(from, button) {
  try {
    await navigator.clipboard.writeText(from.value);
  } catch {  // on plain HTTP there is no clipboard
    from.select();
    document.execCommand('copy');
  }
  const said = button.textContent;
  button.textContent = 'Copied';
  setTimeout(() => { button.textContent = said; }, 1200);
}
// What is written outlives that the page is loaded again, by gradio too after a lost connection, and
// that somebody looks at another page and comes back.
const KEPT = `hubtrain ${location.href}`;
function keep(yaml) {
  try { sessionStorage.setItem(KEPT, yaml); } catch { /* a browser that keeps nothing */ }
}
function kept() {
  const came = performance.getEntriesByType('navigation')[0]?.type;
  if (came !== 'reload' && came !== 'back_forward') return null;
  try { return sessionStorage.getItem(KEPT); } catch { return null; }
}
send('hello', {asked: Object.fromEntries(new URLSearchParams(location.search)), kept: kept()});
