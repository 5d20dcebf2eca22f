// Wheel, pinch and drag on a timeline. A plain wheel scrolls the page until the timeline has the focus, so that a
// visitor's scrolling never ends there by accident; with Ctrl, and on a trackpad's pinch, it zooms at once.

const DRAG_PIXELS = 4;

export function gestures(timeline, area, signal) {
  const pointers = new Map();
  let spread = 0;
  const within = (clientX) => clientX - timeline.axis.getBoundingClientRect().left;

  area.addEventListener(
    "wheel",
    (event) => {
      const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
      const isOnAxis = event.target.closest?.(".top") !== null;
      if (isSideways && !event.ctrlKey) {
        event.preventDefault();
        timeline.move(event.deltaX || event.deltaY);
      } else if (event.ctrlKey || event.metaKey || isOnAxis || (timeline.chart.contains(document.activeElement) && area.scrollHeight <= area.clientHeight)) {
        event.preventDefault();
        timeline.zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) * 0.005), within(event.clientX));
      }
    },
    { signal, passive: false },
  );

  area.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || event.target.closest(".labels, .corner")) return;
    pointers.set(event.pointerId, { x: event.clientX, start: event.clientX });
    timeline.wasDragged = false;
    spread = distance(pointers);
  });

  const move = (event) => {
    const pointer = pointers.get(event.pointerId);
    if (pointer === undefined) return;
    const by = event.clientX - pointer.x;
    if (pointers.size === 1) {
      if (!timeline.isDragging && Math.abs(event.clientX - pointer.start) < DRAG_PIXELS) return;
      if (!timeline.isDragging) {
        timeline.isDragging = timeline.wasDragged = true;
        area.classList.add("dragging");
        timeline.card.hide();
      }
      timeline.move(-by);
      pointer.x = event.clientX;
      return;
    }
    pointer.x = event.clientX;
    const now = distance(pointers);
    timeline.wasDragged = true;
    if (spread > 0 && now > 0) timeline.zoom(spread / now, within(middle(pointers)));
    spread = now;
  };

  const end = (event) => {
    pointers.delete(event.pointerId);
    spread = distance(pointers);
    if (pointers.size === 0) {
      timeline.isDragging = false;
      area.classList.remove("dragging");
    }
  };
  addEventListener("pointermove", move, { signal });
  addEventListener("pointerup", end, { signal });
  addEventListener("pointercancel", end, { signal });
}

function distance(pointers) {
  if (pointers.size < 2) return 0;
  const [one, other] = [...pointers.values()];
  return Math.abs(one.x - other.x);
}

function middle(pointers) {
  const [one, other] = [...pointers.values()];
  return (one.x + other.x) / 2;
}
