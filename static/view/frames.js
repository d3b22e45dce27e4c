// Draws at most once a frame, and leaves the page the greater part of its time where drawing is slow.

const SHARE = 3; // a drawing that took a while is followed by a pause this many times as long

/** A function that asks for `draw` to be called soon; many calls are one. */
export function oncePerFrame(draw) {
  let isAsked = false;
  let restedAt = 0;
  const attempt = (now) => {
    if (now < restedAt) return requestAnimationFrame(attempt);
    isAsked = false;
    const began = performance.now();
    draw();
    restedAt = performance.now() + (performance.now() - began) * SHARE;
  };
  return () => {
    if (!isAsked) requestAnimationFrame(attempt);
    isAsked = true;
  };
}
