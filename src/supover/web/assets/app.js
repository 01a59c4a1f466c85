// What HTML and htmx cannot say: keys, the palette, toasts, selections, and where an error belongs.
import "htmx.org";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const isTyping = (target) => target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
const openDialog = () => $("dialog[open]");

// --- the theme, and the side's drawer --------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const chosen = event.target.closest("[data-theme]");
  if (chosen) {
    if (chosen.dataset.theme === "system") localStorage.removeItem("theme");
    else localStorage.setItem("theme", chosen.dataset.theme);
    dispatchEvent(new Event("theme"));
  }
  const copied = event.target.closest("[data-copy]");
  if (copied) navigator.clipboard?.writeText(copied.dataset.copy).then(() => toast({ text: copied.dataset.copied }));
});

// --- toasts ----------------------------------------------------------------------------------------------------------

const TOAST_MS = 8000;

function toast({ text, undo, label, tone }) {
  const box = $("#toasts");
  // Said again, it is said once.
  for (const old of $$(".toast-note", box)) if (!undo && old.textContent === text) old.remove();
  const note = document.createElement("div");
  note.className = "toast-note";
  note.setAttribute("role", tone === "bad" ? "alert" : "status");
  const said = document.createElement("span");
  said.textContent = text;
  note.append(said);
  if (/^\/(?![/\\])/.test(undo)) {
    const form = document.createElement("form");
    form.method = "post";
    form.action = undo;
    for (const [name, value] of Object.entries({
      "hx-post": undo,
      "hx-target": "#main",
      "hx-select": "#main",
      "hx-swap": "outerMorph",
      "hx-select-oob": "#side:outerMorph,#bell:outerMorph",
    }))
      form.setAttribute(name, value);
    const button = document.createElement("button");
    button.className = "btn";
    button.dataset.variant = "outline";
    button.dataset.size = "sm";
    button.textContent = label;
    form.append(button);
    form.addEventListener("submit", () =>
      setTimeout(() => {
        note.remove();
        $("#main").focus({ preventScroll: true });
      }),
    );
    note.append(form);
  }
  box.append(note);
  htmx.process(note);
  let timer = setTimeout(() => note.remove(), TOAST_MS);
  // Whoever reads or reaches for the button has the time it takes.
  const hold = () => clearTimeout(timer);
  const release = () => {
    hold();
    timer = setTimeout(() => note.matches(":hover, :focus-within") || note.remove(), TOAST_MS / 2);
  };
  note.addEventListener("mouseenter", hold);
  note.addEventListener("focusin", hold);
  note.addEventListener("mouseleave", release);
  note.addEventListener("focusout", release);
}

function showFlash(root) {
  for (const flash of $$("template[data-toast]", root)) {
    toast(flash.dataset);
    flash.remove();
  }
}

// --- forms: what is wrong stands at its field --------------------------------------------------------------------------

// A field keeps its hint beside what is wrong with it.
function describe(field, kept, more = []) {
  const ids = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => id && kept(id));
  if (ids.length + more.length) field.setAttribute("aria-describedby", [...ids, ...more].join(" "));
  else field.removeAttribute("aria-describedby");
}

function clearErrors(form) {
  for (const text of $$(".error-text", form)) text.remove();
  for (const field of $$("[aria-invalid]", form)) {
    field.removeAttribute("aria-invalid");
    describe(field, (id) => !id.startsWith("error-"));
  }
}

// Where somebody else has what was given, one click leads to them.
function showHolder(note, { holder }) {
  if (!holder) return;
  const link = document.createElement("a");
  link.className = "link";
  link.href = holder;
  link.textContent = document.body.dataset.holder;
  note.append(" ", link);
}

function showErrors(form, problem) {
  clearErrors(form);
  let first;
  const rest = [];
  for (const { name, text } of problem.errors) {
    const field = form.elements.namedItem(name);
    const control = field instanceof RadioNodeList ? field[0] : field;
    if (!control || control.type === "hidden") {
      rest.push(name && !text.startsWith(name) && problem.errors.length > 1 ? `${name}: ${text}` : text);
      continue;
    }
    const id = `error-${name.replace(/[^a-z0-9]/gi, "-")}-${Math.random().toString(36).slice(2, 7)}`;
    const note = document.createElement("p");
    note.className = "error-text";
    note.id = id;
    note.textContent = text;
    control.setAttribute("aria-invalid", "true");
    describe(control, () => true, [id]);
    showHolder(note, problem);
    (control.closest(".field") ?? control.parentElement).append(note);
    first ??= control;
  }
  if (rest.length || !problem.errors.length) {
    const note = document.createElement("p");
    note.className = "error-text";
    note.setAttribute("role", "alert");
    // What is wrong says more than that something is.
    const told = rest.length ? rest : [problem.title, problem.holder ? "" : problem.detail];
    note.textContent = told.filter(Boolean).map((text) => text[0].toUpperCase() + text.slice(1)).join(". ");
    showHolder(note, problem);
    form.append(note);
  }
  first?.focus();
}

document.addEventListener("htmx:before:swap", (event) => {
  const { ctx } = event.detail;
  const { status } = ctx.response;
  if (status < 400) return;
  // A refusal never replaces the page: it is told where it arose.
  event.preventDefault();
  let problem;
  try {
    problem = JSON.parse(ctx.text);
  } catch {
    problem = { title: `${status}`, errors: [] };
  }
  const form = ctx.sourceElement.form ?? ctx.sourceElement.closest("form");
  const isAtField = problem.errors.some(({ name }) => form?.elements.namedItem(name));
  // Over a dialog nothing else is seen, and what is edited in place is looked at there.
  if (form?.method === "post" && form.isConnected && (status === 422 || isAtField || form.closest("dialog[open], details[data-focus]")))
    showErrors(form, problem);
  else toast({ text: [problem.title, problem.detail].filter(Boolean).join(" "), tone: "bad" });
});
document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx?.status === "error: network" || event.detail.error instanceof TypeError)
    toast({ text: document.body.dataset.offline, tone: "bad" });
});
document.addEventListener("submit", (event) => {
  clearErrors(event.target);
  // What a browser sends by itself may take a while, and the page says so.
  if (event.target.enctype === "multipart/form-data") event.target.classList.add("sending");
});

// A form that was sent has done its work: it closes with its dialog, what was typed is gone, nobody is chosen any more, and
// one goes on where it says.
let onward;
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  // A button may send the form that it belongs to somewhere else.
  const form = ctx.sourceElement.form ?? ctx.sourceElement;
  if (!ctx.response || ctx.response.status >= 400) return;
  // A field that asks for what it could be sends nothing of its form.
  const sent = ctx.request.method === "GET" ? ctx.sourceElement : form;
  onward = sent.dataset.then;
  if (sent !== form || !form.matches("form[method=post]")) return;
  (ctx.sourceElement.closest("dialog") ?? openDialog())?.close();
  if (form.dataset.keep === undefined) form.reset();
  if (form.hasAttribute("hx-include")) chooseNobody();
  const place = form.closest("details[data-focus]");
  if (place) shut(place);
});

// --- rows that are chosen ------------------------------------------------------------------------------------------------

let lastBox;

function countChosen() {
  for (const bar of $$("[data-bar]")) {
    const boxes = $$("input[name=id]", $(bar.dataset.bar) ?? document);
    const chosen = boxes.filter((box) => box.checked);
    const offer = $("[data-offer]", bar);
    const everything = $("input[name=everything]", bar);
    bar.hidden = !chosen.length;
    // All who fit are meant only as long as nobody on the page is left out.
    if (offer) offer.hidden = chosen.length < boxes.length;
    if (offer?.hidden) everything.checked = false;
    const told = $("[data-chosen]", bar);
    if (told)
      told.textContent = everything?.checked ? told.dataset.chosenAll : told.dataset.chosen.replace("{n}", chosen.length);
    for (const button of $$("[data-least]", bar))
      button.disabled =
        everything?.checked || chosen.length < button.dataset.least || chosen.length > button.dataset.most;
    for (const all of $$("[data-all]")) {
      all.checked = boxes.length > 0 && chosen.length === boxes.length;
      all.indeterminate = chosen.length > 0 && chosen.length < boxes.length;
    }
  }
}

function chooseNobody() {
  for (const box of $$("input[name=id]")) box.checked = false;
  countChosen();
}

document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]"))
    for (const box of $$("input[name=id]", event.target.closest("table, section"))) box.checked = event.target.checked;
  if (event.target.matches("[data-all], input[name=id], input[name=everything]")) countChosen();
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-drop]")) chooseNobody();
  if (!event.target.matches("input[name=id]")) return;
  // With Shift all between this box and the one before become as this one is.
  const boxes = $$("input[name=id]", event.target.closest("[data-rows]"));
  const [from, to] = [boxes.indexOf(lastBox), boxes.indexOf(event.target)].sort((a, b) => a - b);
  if (event.shiftKey && from >= 0) {
    for (const box of boxes.slice(from, to + 1)) box.checked = event.target.checked;
    countChosen();
  }
  lastBox = event.target;
});

// --- the palette -----------------------------------------------------------------------------------------------------------

const palette = () => $("#palette");
const options = () => $$('[role="option"]', palette());

function pick(index) {
  const all = options();
  all.forEach((option, i) => option.setAttribute("aria-selected", String(i === index)));
  const input = $("input", palette());
  if (all[index]) {
    input.setAttribute("aria-activedescendant", all[index].id);
    all[index].scrollIntoView({ block: "nearest" });
  } else input.removeAttribute("aria-activedescendant");
}

function settlePalette() {
  offerWhatIsHere();
  pick(0);
  if (!entered || !isFound()) return;
  entered = false;
  options()[0]?.click();
}

function openPalette() {
  if (openDialog()) return;
  entered = false;
  palette().showModal();
  const input = $("input", palette());
  input.select();
  input.dispatchEvent(new Event("open"));
}

// What the page has no button for is not offered, nor a kind of which nothing is left.
function offerWhatIsHere() {
  for (const option of $$("[data-press]", palette())) if (!$(option.dataset.press)) option.remove();
  for (const kind of $$(".kind", palette())) if (!kind.nextElementSibling?.matches('[role="option"]')) kind.remove();
}

// Who types and presses Enter at once means the first of what is found then.
let entered = false;
const isFound = () =>
  $("[data-sought]", palette())?.dataset.sought === $("input", palette()).value.trim().slice(0, 100);
document.addEventListener("input", ({ target }) => {
  if (target.closest("#palette")) entered = false;
});

document.addEventListener("keydown", (event) => {
  if (!event.target.closest?.("#palette") || event.isComposing) return;
  const all = options();
  const at = all.findIndex((option) => option.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    pick((at + (event.key === "ArrowDown" ? 1 : -1) + all.length) % all.length);
  } else if (event.key === "Enter") {
    event.preventDefault();
    entered = !isFound();
    if (!entered) all[at]?.click();
  }
});
document.addEventListener("click", (event) => {
  const option = event.target.closest('#palette [role="option"]');
  if (option?.dataset.href) location.assign(option.dataset.href);
  if (option?.dataset.press) {
    palette().close();
    const pressed = $(option.dataset.press);
    if (pressed && isTyping(pressed)) pressed.focus();
    else pressed?.click();
  }
  if (event.target.closest("[data-palette]")) openPalette();
  if (event.target === palette()) palette().close();
});

// --- keys ------------------------------------------------------------------------------------------------------------------

let chord = 0;
const rows = () => $$("[data-rows] > tr, [data-rows] > li");

function step(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("at"));
  const next = Math.min(all.length - 1, Math.max(0, at + by));
  ($("a[href]", all[next]) ?? all[next]).focus({ preventScroll: true });
  all[next].scrollIntoView({ block: "nearest" });
}

// Keys go on from where the focus was last, by key, tabulator or pointer, also when what is around it was written anew.
let lastRow;

function markRow(row) {
  lastRow = row.id;
  for (const other of rows()) other.classList.toggle("at", other === row);
}

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("[data-rows] > tr, [data-rows] > li");
  if (row) markRow(row);
});

// What was searched for is opened, or left, without a pointer.
document.addEventListener("keydown", (event) => {
  const search = event.target.closest?.("[data-search]");
  if (!search || event.isComposing) return;
  if (event.key === "Escape") {
    event.preventDefault();
    search.blur();
  } else if (event.key === "ArrowDown" || event.key === "Enter") {
    // Before the list is of what was typed, Enter asks for it.
    const shown = new URLSearchParams(location.search).get(search.name) ?? "";
    if (event.key === "Enter" && shown !== search.value.trim()) return;
    const link = $("a[href]", rows()[0] ?? document.createElement("i"));
    if (link) event.preventDefault();
    link?.focus();
  }
});

// Enter at a box would send the form that it belongs to, with whatever button stands first in it.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches?.("[data-all], input[name=id], input[name=everything]"))
    event.preventDefault();
});

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || openDialog()) return;
  if (chord && performance.now() - chord < 1500) {
    chord = 0;
    const link = $(`[data-chord="${CSS.escape(event.key)}"]`);
    if (link) {
      event.preventDefault();
      link.click();
    }
    return;
  }
  const pressed = $$("[data-key]").find((one) => one.dataset.key === event.key && !one.closest("[hidden]"));
  if (pressed && !pressed.disabled) {
    event.preventDefault();
    if (isTyping(pressed)) pressed.focus();
    else pressed.click();
  } else if (event.key === "/") {
    const search = $("[data-search]");
    if (search) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  } else if (event.key === "g") chord = performance.now();
  else if (event.key === "j" || event.key === "k") step(event.key === "j" ? 1 : -1);
  else if (event.key === "x") {
    const box = $(".at input[name=id]");
    if (box) box.click();
  } else if (event.key === "Escape" && !$(":popover-open")) chooseNobody();
  else if (event.key === "?") $("#keys")?.showModal();
});

// --- files that are dropped --------------------------------------------------------------------------------------------------

for (const kind of ["dragover", "dragleave", "drop"])
  document.addEventListener(kind, (event) => {
    const place = event.target.closest?.(".drop");
    if (!place) return;
    event.preventDefault();
    place.classList.toggle("over", kind === "dragover");
    const input = $("input[type=file]", place);
    if (kind === "drop" && event.dataTransfer.files.length) {
      input.files = event.dataTransfer.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }
  });

// --- charts: the value under the pointer ---------------------------------------------------------------------------------------

const pointsOf = (chart) => (chart.points ??= JSON.parse(chart.dataset.points));

function point(chart, near) {
  if (!near) return;
  const line = $(".cross", chart);
  line.setAttribute("x1", near.x);
  line.setAttribute("x2", near.x);
  line.removeAttribute("visibility");
  $(".told", chart.parentElement).textContent = near.text;
  chart.at = near;
}

document.addEventListener("pointermove", (event) => {
  const chart = event.target.closest?.("[data-points]");
  if (!chart) return;
  const box = chart.getBoundingClientRect();
  const { width } = chart.viewBox.baseVal;
  const x = ((event.clientX - box.left) / box.width) * width;
  const far = (one) => Math.abs(one.x - x);
  point(chart, pointsOf(chart).reduce((best, one) => (far(one) < far(best) ? one : best), pointsOf(chart)[0]));
});

// --- charts and tables of values by arrow keys ---------------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

document.addEventListener("keydown", (event) => {
  const [down, right] = ARROWS[event.key] ?? [];
  if (down === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  const chart = event.target.closest?.("[data-points]");
  if (chart && right) {
    event.preventDefault();
    const points = pointsOf(chart);
    const at = points.indexOf(chart.at);
    point(chart, points[Math.min(points.length - 1, Math.max(0, at + right))]);
  }
  const cell = event.target.closest?.("[data-grid] td");
  if (!cell) return;
  event.preventDefault();
  const row = cell.closest("table").rows[cell.parentElement.rowIndex + down];
  const next = row?.cells[cell.cellIndex + right];
  if (!next?.hasAttribute("tabindex")) return;
  cell.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});

for (const kind of ["focusin", "pointerover"])
  document.addEventListener(kind, (event) => {
    const cell = event.target.closest?.("[data-grid] td[tabindex]");
    if (!cell) return;
    const [head] = cell.closest("table").rows;
    const where = [cell.parentElement.cells[0].textContent, head.cells[cell.cellIndex].dataset.told];
    $("[data-grid-told]", cell.closest(".grid-box")).textContent = `${where.join(", ")}: ${cell.textContent}`;
  });

// --- lists that are put in order, and forms that open in place --------------------------------------------------------------

function move(item, way) {
  if (way === "up") item.previousElementSibling?.before(item);
  else item.nextElementSibling?.after(item);
  item.scrollIntoView({ block: "nearest" });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-move]");
  if (!button) return;
  const item = button.closest("li");
  move(item, button.dataset.move);
  // At the end of the list the button is not there any more.
  if (button.checkVisibility({ visibilityProperty: true })) button.focus();
  else $$("[data-move]", item).find((other) => other !== button)?.focus();
});
document.addEventListener("keydown", (event) => {
  const item = event.altKey && event.target.closest?.("li:has(> [data-move])");
  if (!item || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
  event.preventDefault();
  const { activeElement } = document;
  move(item, event.key === "ArrowUp" ? "up" : "down");
  activeElement.focus();
});
// What is opened begins as the server last said it, whatever was typed and left; what is typed at once is typed into it.
document.addEventListener("click", (event) => {
  const place = event.target.closest("summary")?.parentElement;
  if (!place?.matches("details[data-focus]:not([open])")) return;
  event.preventDefault();
  place.open = true;
  const form = $("form", place);
  if (form) {
    form.reset();
    clearErrors(form);
  }
  const field = $("input:not([type=hidden]), select, textarea", place);
  field?.focus();
  field?.select?.();
});
function shut(place) {
  place.open = false;
  $("summary", place).focus();
}
document.addEventListener("keydown", (event) => {
  const place = event.key === "Escape" && event.target.closest?.("details[open][data-focus]");
  if (place) shut(place);
});
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-shut]")) shut(event.target.closest("details"));
});
document.addEventListener(
  "toggle",
  (event) => {
    if (event.target.matches("[popover][data-focus]") && event.newState === "open") $("summary", event.target)?.focus();
  },
  true,
);
// Enter saves from a list of choices as it does from a line of text, and with Ctrl from a text of many lines.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing) return;
  if (!event.target.matches?.(event.ctrlKey || event.metaKey ? "form[method=post] textarea" : "details[data-focus] select")) return;
  event.preventDefault();
  event.target.form.requestSubmit();
});

// --- what a swap brings --------------------------------------------------------------------------------------------------------

// What somebody has opened stays open when what was searched for comes late. A form that was sent closes its own dialog.
htmx.registerExtension("opened", {
  htmx_before_morph_attr: (element, { attrName }) => attrName !== "open" || !element.matches("dialog, .menu details"),
});

// A morph leaves what somebody chose; where the server writes a form anew, what it says holds, but for what is being typed.
function freshen(root) {
  for (const field of $$("[data-fresh] input, [data-fresh] select", root)) {
    if (field === document.activeElement && field.value !== field.added) continue;
    if (field.type === "checkbox") field.checked = field.defaultChecked;
    else if (field.matches("select")) for (const option of field.options) option.selected = option.defaultSelected;
    else field.value = field.defaultValue;
  }
}

// A field that adds to a list is empty again when it has, though one is still in it.
document.addEventListener("change", ({ target }) => {
  if (target.matches("[data-add]")) target.added = target.value;
});

// A day that an earlier page goes on with has its head already.
function joinDays(root) {
  $$(".day", root).forEach((head, i, all) => head.textContent === all[i - 1]?.textContent && head.remove());
}

function settle(root) {
  joinDays(root);
  showFlash(root);
  freshen(root);
  countChosen();
  const row = lastRow && document.getElementById(lastRow);
  if (row) markRow(row);
  if ($("#palette[open]")) settlePalette();
}
document.addEventListener("htmx:after:swap", () => {
  settle(document);
  document.getElementById(onward)?.focus({ preventScroll: true });
  onward = undefined;
});
document.addEventListener("DOMContentLoaded", () => settle(document));

// An address may name the dialog that is to be open.
function openNamed() {
  const named = document.getElementById(location.hash.slice(1));
  if (named?.matches("dialog.dialog:not([open])")) named.showModal();
}
document.addEventListener("DOMContentLoaded", openNamed);
addEventListener("hashchange", openNamed);

// --- on a phone tabs and the sections of the settings are wider than the window: what is open comes into sight -----------------

document.addEventListener("DOMContentLoaded", () => {
  for (const row of $$(".views, .sections")) {
    const at = $("[aria-current]", row)?.getBoundingClientRect();
    if (at) row.scrollLeft += at.left - (innerWidth - at.width) / 2;
  }
});
