"use strict";
// Names come from anywhere: they only ever become textContent, never markup.
const data = JSON.parse(document.getElementById("data").textContent);
const images = data.images;
const cards = [...document.querySelectorAll("#grid > .card")];
const filters = document.getElementById("filters");
const view = document.getElementById("view");
const SEARCHED = images.map(searchedText);
const SVG = "http://www.w3.org/2000/svg";
const FIELDS = ["tag", "split", "code", "q"];
const KEYS = [...FIELDS, "with", "boxes"]; // the last two come only from charts
// A row of `boxes`: kind, tag, box, other box, code, file, rest of the place, position.
const [KIND, TAG, BOX, OTHER, CODE, FILE, REST, POSITION] = [0, 1, 2, 3, 4, 5, 6, 7];
let shown = images.map((_, at) => at);
let opened = -1;

function searchedText(image) {
  const tags = image.boxes.map((box) => tagName(box[1]));
  const files = image.boxes.map((box) => placeOf(box));
  return [image.name, ...new Set(tags), ...new Set(files)].join("\n").toLowerCase();
}

function tagName(tag) {
  if (typeof tag === "string") return tag;
  return tag < 0 ? "no class" : data.tags[tag][0];
}

function placeOf(box) {
  return box[5] < 0 ? "" : data.files[box[5]] + box[6];
}

function element(kind, text, className) {
  const made = document.createElement(kind);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// The state is in the address: #tag=…&split=…&code=…&q=…&image=…
function state() {
  const hash = location.hash.slice(1);
  const given = new URLSearchParams(hash.includes("=") ? hash : "");
  return Object.fromEntries([...KEYS, "image"].map((key) => [key, given.get(key) ?? ""]));
}

function setState(changes, replace) {
  const next = { ...state(), ...changes };
  const pairs = Object.entries(next).filter(([, value]) => value !== "");
  const hash = pairs.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
  const address = hash ? `#${hash}` : "#images";
  if (address === location.hash) return;
  if (replace) {
    history.replaceState(null, "", address);
    apply(false);
  } else {
    location.hash = address;
  }
}

function matches(image, at, wanted) {
  if (wanted.tag && !image.boxes.some((box) => tagName(box[TAG]) === wanted.tag)) return false;
  if (wanted.with && !image.boxes.some((box) => tagName(box[TAG]) === wanted.with)) return false;
  if (wanted.boxes) {
    const [low, high = low] = wanted.boxes.split("-").map(Number);
    const sent = image.boxes.filter((box) => box[POSITION] >= 0).length;
    if (sent < low || sent > high) return false;
  }
  if (wanted.split && data.splits[image.split] !== wanted.split) return false;
  if (wanted.code && !image.codes.includes(wanted.code)) return false;
  return !wanted.q || SEARCHED[at].includes(wanted.q.toLowerCase());
}

function apply(scroll) {
  const wanted = state();
  const isFiltered = KEYS.some((key) => wanted[key]);
  shown = [];
  images.forEach((image, at) => {
    const fits = matches(image, at, wanted);
    cards[at].hidden = !fits;
    if (fits) shown.push(at);
  });
  for (const key of FIELDS) {
    const field = filters.elements[key];
    if (field.value === wanted[key]) continue;
    if (key !== "q" && ![...field.options].some((one) => one.value === wanted[key])) {
      field.add(new Option(wanted[key], wanted[key]));
    }
    field.value = wanted[key];
  }
  const more = [wanted.with && `with '${wanted.with}'`, wanted.boxes && `with ${counted(wanted.boxes, "box", "boxes")}`];
  const count = counted(images.length, "image", "images");
  document.getElementById("count").textContent = [isFiltered && `${shown.length} of`, count, "on this page", ...more].filter(Boolean).join(" ");
  document.getElementById("none").hidden = shown.length > 0 || !images.length;
  const at = wanted.image ? images.findIndex((image) => image.name === wanted.image) : -1;
  if (at >= 0) open(at);
  else if (view.open) close();
  if (scroll && isFiltered && at < 0) document.getElementById("images").scrollIntoView();
}

function fillFilters() {
  const add = (key, values) => {
    for (const value of values) {
      const title = key === "code" ? data.titles[value] : undefined;
      filters.elements[key].add(new Option(title ?? value, value));
    }
    if (!values.length) filters.elements[key].parentElement.hidden = true;
  };
  add("tag", data.tags.map((tag) => tag[0]).sort((a, b) => a.localeCompare(b)));
  add("split", data.splits);
  add("code", [...new Set(images.flatMap((image) => image.codes))].sort());
  filters.hidden = !images.length;
}

function counted(number, one, many) {
  return `${number} ${String(number) === "1" ? one : many}`;
}

function digits(quanta) {
  return (quanta / 1e9).toFixed(9);
}

const STATES = {
  sent: () => "sent",
  adjusted: (box) => `sent, adjusted: ${box[CODE]}`,
  dropped: (box) => `not sent: ${box[CODE]}`,
  missing: () => "missing from the project",
  moved: () => "elsewhere in the project",
  extra: () => "only in the project",
};

function numbersOf(box, image) {
  const [width, height] = image.size;
  const sides = [width, height, width, height];
  return box.map((quanta, side) => {
    const cell = element("td", digits(quanta));
    if (sides[side]) {
      cell.append(document.createElement("br"), element("small", `${+(quanta / 1e9 * sides[side]).toFixed(2)} px`));
    }
    return cell;
  });
}

function swatch(box) {
  const svg = document.createElementNS(SVG, "svg");
  const group = document.createElementNS(SVG, "g");
  const mark = document.createElementNS(SVG, "rect");
  svg.setAttribute("class", "swatch boxes-key");
  svg.setAttribute("viewBox", "0 0 22 16");
  svg.setAttribute("aria-hidden", "true");
  group.setAttribute("class", `${box[KIND]} ${box[TAG] >= 0 ? data.tags[box[TAG]][1] : "none"}`);
  mark.setAttribute("class", "box");
  Object.entries({ x: 2, y: 2, width: 18, height: 12 }).forEach((pair) => mark.setAttribute(...pair));
  group.append(mark);
  svg.append(group);
  return svg;
}

function rowOf(box, image) {
  const row = element("tr");
  const tag = element("th");
  tag.scope = "row";
  tag.append(swatch(box), element("bdi", tagName(box[TAG]), "name"));
  const place = placeOf(box);
  if (place) tag.append(element("br"), element("bdi", place, "name copy"));
  const state = STATES[box[KIND]](box);
  tag.append(element("br"), element("small", state, box[KIND]));
  if (box[OTHER]) {
    const where = box[KIND] === "moved" ? "in the project" : "in the file";
    tag.append(element("br"), element("small", `${where}: ${box[OTHER].map(digits).join(" ")}`));
  }
  row.append(tag);
  if (box[BOX]) row.append(...numbersOf(box[BOX], image));
  else for (let side = 0; side < 4; side++) row.append(element("td", "–"));
  return row;
}

function payloadOf(image) {
  const sent = image.boxes.filter((box) => box[POSITION] >= 0).sort((a, b) => a[POSITION] - b[POSITION]);
  return sent.map((box) => {
    const imageId = image.id || `(ID of ${image.name})`;
    const tagId = data.tags[box[TAG]][2] || `(ID of ${tagName(box[TAG])})`;
    const ids = `"imageId":${JSON.stringify(imageId)},"tagId":${JSON.stringify(tagId)}`;
    const [left, top, width, height] = box[BOX].map(digits);
    return `{${ids},"left":${left},"top":${top},"width":${width},"height":${height}}`;
  });
}

function payloadNote(image) {
  const positions = image.boxes.map((box) => box[POSITION]).filter((at) => at >= 0);
  if (!positions.length) return "No box of this image is sent.";
  if (!data.hasIds) return "The IDs are placeholders, because no tag and image IDs were given.";
  const batches = [...new Set(positions.map((at) => Math.floor(at / 64) + 1))].sort((a, b) => a - b);
  const places = `In ${batches.length === 1 ? "batch" : "batches"} ${batches.join(", ")}.`;
  return data.hasPlaceholders ? `${places} Tags and images that are not in the project yet have placeholder IDs.` : places;
}

function open(at) {
  const image = images[at];
  opened = at;
  document.getElementById("view-name").textContent = image.name;
  const drawing = cards[at].querySelector(".shown").cloneNode(true);
  const size = drawing.firstElementChild;
  document.getElementById("view-image").style.setProperty("--aspect", size.getAttribute("width") / size.getAttribute("height"));
  document.getElementById("view-image").replaceChildren(drawing);
  const why = image.why.map(([severity, text]) => element("li", text, severity));
  why.push(...image.notes.map((note) => element("li", note, "info")));
  document.getElementById("view-why").replaceChildren(...why);
  const rows = image.boxes.map((box) => rowOf(box, image));
  const isOdd = (number) => image.boxes[number][KIND] !== "sent";
  const order = rows.map((_, number) => number).sort((a, b) => isOdd(b) - isOdd(a) || a - b);
  view.querySelector("tbody").replaceChildren(...order.map((number) => rows[number]));
  const marks = [...drawing.querySelectorAll(".box")];
  rows.forEach((row, number) => {
    row.addEventListener("mouseenter", () => point(number));
    marks[number].addEventListener("mouseenter", () => point(number));
  });
  function point(number) {
    for (const one of [...rows, ...marks]) one.classList.remove("hot");
    rows[number].classList.add("hot");
    marks[number].classList.add("hot");
    document.getElementById("view-label").textContent = `${tagName(image.boxes[number][TAG])}: ${STATES[image.boxes[number][KIND]](image.boxes[number])}`;
  }
  document.getElementById("view-label").textContent = "";
  document.getElementById("view-payload-note").textContent = payloadNote(image);
  document.getElementById("view-payload").textContent = payloadOf(image).join(",\n");
  if (!view.open) {
    view.showModal();
    document.getElementById("view-name").focus();
  }
}

function close() {
  const card = cards[opened];
  opened = -1;
  view.close();
  if (card && !card.hidden) card.querySelector("a").focus({ preventScroll: false });
}

function go(step) {
  if (step === 0) return setState({ image: "" });
  const here = shown.indexOf(opened);
  const next = shown[here + step] ?? -1;
  if (next >= 0) setState({ image: images[next].name }, true);
}

function moveFocus(step) {
  const here = shown.findIndex((at) => cards[at].contains(document.activeElement));
  const next = shown[Math.min(Math.max(here + step, 0), shown.length - 1)];
  if (next !== undefined) cards[next].querySelector("a").focus();
}

document.addEventListener("keydown", (event) => {
  const isTyping = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step && !isTyping) {
    event.preventDefault();
    if (view.open) go(step);
    else moveFocus(step);
  } else if (event.key === "/" && !isTyping && !view.open) {
    event.preventDefault();
    filters.elements.q.focus();
  } else if (event.key === "Escape" && isTyping) {
    event.target.blur();
    if (event.target.name === "q") setState({ q: "" });
  }
});

for (const link of document.querySelectorAll("#grid .open")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    setState({ image: images[link.closest(".card").dataset.at].name });
  });
}
view.addEventListener("cancel", (event) => {
  event.preventDefault();
  go(0);
});
view.addEventListener("click", (event) => {
  const button = event.target.closest("[data-go]");
  if (button) go(Number(button.dataset.go));
});
filters.addEventListener("submit", (event) => event.preventDefault());
filters.addEventListener("reset", (event) => {
  event.preventDefault();
  setState(Object.fromEntries(KEYS.map((key) => [key, ""])));
});
filters.addEventListener("change", (event) => setState({ [event.target.name]: event.target.value }));
filters.addEventListener("input", (event) => {
  if (event.target.name === "q") setState({ q: event.target.value }, true);
});
window.addEventListener("hashchange", () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
  apply(true);
});
document.addEventListener("click", (event) => {
  const place = event.target.closest(".copy");
  if (place && navigator.clipboard) navigator.clipboard.writeText(place.textContent).catch(() => {});
});
fillFilters();
apply(true);
if (location.hash.startsWith("#finding-")) window.dispatchEvent(new HashChangeEvent("hashchange"));
