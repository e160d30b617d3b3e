"use strict";
// Keys of the classes. "-", Space, Enter, Backspace and "/" have another meaning.
const KEYS = "1234567890abcdefghijklmnopqrstuvwxyz";
let keys = new Map(); // the key of each class folder; none if there are more classes than keys
const at = (id) => document.getElementById(id);
let state = null;
let queue = []; // the images without a decision, in their order
let history = []; // decided or skipped images, the last one at the end
let skipped = 0;
let busy = false;

async function call(path, body) {
  let response;
  try {
    response = await fetch(path, body === undefined ? {} : {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
  } catch {
    throw new Error("make review does not run any more. Start it again and reload this page: your labels are kept.");
  }
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

// One action at a time, so that a fast typist labels each image once. An error stays on the page until the next action.
async function act(action) {
  if (busy) return;
  busy = true;
  at("error").hidden = true;
  try {
    await action();
  } catch (error) {
    at("error").textContent = error.message;
    at("error").hidden = false;
  }
  busy = false;
  show();
}

const count = (number, one, many) => `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
const guess = () => state.classes.find((each) => each.label === queue[0]?.predictions[0].label);

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function show() {
  if (!state) return;
  const none = state.items.filter((each) => each.decided && each.label === null).length;
  at("progress").textContent = [
    count(queue.length, "image left", "images left"),
    count(state.to_add, "label", "labels"),
    ...(none ? [`${none} not one of the classes`] : []),
    ...(skipped ? [`${skipped} skipped`] : []),
  ].join(" · ");
  at("add").hidden = state.to_add === 0;
  at("add").textContent = `Add ${count(state.to_add, "image", "images")} to ${state.next}`;
  at("review").hidden = at("keys").hidden = queue.length === 0;
  at("empty").hidden = queue.length !== 0;
  at("title").textContent = `Review for ${state.dataset}`;
  at("undo").disabled = history.length === 0;
  if (queue.length) showItem(queue[0]); else showEmpty();
}

function showItem(item) {
  const source = `/image/${item.id}`;
  if (at("image").getAttribute("src") !== source) at("image").src = source;
  const unknown = item.known === false;
  const words = unknown ? "The model says: not one of the classes" : "The model says";
  const distance = item.distance === null ? "" : ` (distance ${item.distance.toFixed(2)}; 1 is the limit)`;
  at("answer").replaceChildren(
    element("p", { className: unknown ? "unknown" : "", textContent: `${words}${distance}` }),
    ...item.predictions.map((each) => element("div", { className: "bar" },
      element("span", { textContent: each.label, title: each.label }),
      element("progress", { value: each.probability, max: 1 }),
      element("span", { textContent: `${(100 * each.probability).toFixed(1)} %` }))));
  showClasses();
}

function matching() {
  const typed = at("search").value.trim().toLowerCase();
  return state.classes.filter((each) => each.label.toLowerCase().includes(typed));
}

function showClasses() {
  const suggested = guess();
  at("search").hidden = state.classes.length <= 10;
  at("search-key").hidden = at("search").hidden;
  at("class-keys").hidden = keys.size === 0;
  at("classes").replaceChildren(...matching().map((each) => {
    const key = keys.size ? [element("kbd", { textContent: keys.get(each.folder) })] : [];
    const enter = each === suggested ? [element("kbd", { className: "enter", textContent: "Enter" })] : [];
    const button = element("button", { type: "button", className: enter.length ? "guess" : "" }, ...key, each.label, ...enter);
    button.addEventListener("click", () => act(() => decide(each.folder)));
    return element("li", {}, button);
  }));
}

function showEmpty() {
  const [title, text] = at("empty").children;
  const why = state.left_out.map((each) => `${each}.`);
  if (history.length || state.items.some((each) => each.decided)) {
    title.textContent = skipped ? "No image is left" : "All images are reviewed";
    const skips = skipped ? `${count(skipped, "skipped image comes", "skipped images come")} back when you reload this page.` : "";
    const next = state.to_add
      ? `The button above adds ${count(state.to_add, "image", "images")} to the training split of the new dataset ${state.next}. The validation and test splits stay as they are.`
      : "";
    text.textContent = [next, skips, "Backspace takes the last decision back.", ...why].filter(Boolean).join("\n");
  } else {
    title.textContent = "There is nothing to review";
    text.textContent = [...why, state.capturing
      ? "The function keeps a sample of the images that it is asked about. Come back when there were some requests."
      : "The function keeps no images. To keep a sample, set predictor.capture in the .tfvars file of the environment, for example capture = { percent = 10, days = 30 }, and run make apply."].join("\n");
  }
}

async function decide(folder) {
  const item = queue[0];
  if (!item) return;
  const answer = await call("/decide", { id: item.id, label: folder });
  Object.assign(item, { decided: true, label: folder });
  state.to_add = answer.to_add;
  history.push(queue.shift());
  at("search").value = "";
  at("search").blur();
}

function skip() {
  if (!queue.length) return;
  history.push(queue.shift());
  skipped += 1;
}

async function undo() {
  const item = history.at(-1);
  if (!item) return;
  if (item.decided) {
    state.to_add = (await call("/undo", { id: item.id })).to_add;
    Object.assign(item, { decided: false, label: null });
  } else {
    skipped -= 1;
  }
  queue.unshift(history.pop());
}

async function add() {
  at("add").disabled = true;
  at("add").textContent = `Adding to ${state.next} …`;
  try {
    const done = await call("/add", {});
    at("added").textContent = `The dataset ${done.name} has ${count(done.added, "more image", "more images")} in its training split.\nTrain on it, and compare it with the live model: ${done.train}`;
    at("added").hidden = false;
    await load();
  } finally {
    at("add").disabled = false;
  }
}

// A class whose name is one digit or letter has that key, so that 8 means the class 8. The others have the keys left.
function assignKeys() {
  const own = (each) => (each.label.length === 1 && KEYS.includes(each.label.toLowerCase()) ? each.label.toLowerCase() : "");
  keys = new Map();
  if (state.classes.length > KEYS.length) return;
  const used = () => new Set(keys.values());
  for (const each of state.classes) if (own(each) && !used().has(own(each))) keys.set(each.folder, own(each));
  for (const each of state.classes) if (!keys.has(each.folder)) keys.set(each.folder, [...KEYS].find((key) => !used().has(key)));
}

async function load() {
  state = await call("/state");
  assignKeys();
  queue = state.items.filter((each) => !each.decided);
  history = state.decided.map((id) => state.items.find((each) => each.id === id));
  skipped = 0;
}

document.addEventListener("keydown", (event) => {
  if (!state || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target === at("search");
  if (event.key === "Escape" && typing) {
    at("search").value = "";
    at("search").blur();
    return show();
  }
  if (typing && event.key !== "Enter") return;
  const chosen = typing ? (at("search").value.trim() ? matching()[0] : undefined) : undefined;
  const byKey = state.classes.find((each) => keys.get(each.folder) === event.key.toLowerCase());
  const focused = event.target.tagName === "BUTTON" && (event.key === "Enter" || event.key === " ");
  if (focused) return; // the button's own action
  let action;
  if (event.key === "Enter") action = typing ? chosen && (() => decide(chosen.folder)) : guess() && (() => decide(guess().folder));
  else if (event.key === " ") action = skip;
  else if (event.key === "Backspace") action = undo;
  else if (event.key === "-") action = () => decide(null);
  else if (event.key === "/" && !at("search").hidden) { event.preventDefault(); return at("search").focus(); }
  else if (event.key.length === 1 && byKey) action = () => decide(byKey.folder);
  if (!action) return;
  event.preventDefault();
  if (!event.repeat) act(action);
});
at("search").addEventListener("input", showClasses);
at("none").addEventListener("click", (event) => { event.currentTarget.blur(); act(() => decide(null)); });
at("skip").addEventListener("click", (event) => { event.currentTarget.blur(); act(skip); });
at("undo").addEventListener("click", (event) => { event.currentTarget.blur(); act(undo); });
at("add").addEventListener("click", (event) => { event.currentTarget.blur(); act(add); });
act(load);
