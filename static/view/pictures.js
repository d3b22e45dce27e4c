// Makes of a picture's file what is sent: upright, not larger than a model looks at, and within the gateway's limit.

const LONGEST_SIDE = 2_048; // pixels; vendors scale larger ones down themselves
const QUALITY = 0.85;
const SMALLER = 0.75; // what is still too large is made smaller by this factor
const SMALLEST_SIDE = 64;
const KEPT_AS_THEY_ARE = ["image/png", "image/gif", "image/webp"]; // a photo as JPEG may lie on its side

/**
 * Resolves to `{mediaType, data, name}`, null if the browser cannot read the file as a picture, or cannot make it small
 * enough for `maxBytes`.
 */
export async function preparePicture(file, maxBytes = Infinity) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  try {
    const side = Math.max(bitmap.width, bitmap.height);
    const isSmall = side <= LONGEST_SIDE && file.size <= maxBytes;
    const blob = isSmall && KEPT_AS_THEY_ARE.includes(file.type) ? file : await shrink(bitmap, file.type, maxBytes);
    return blob && { mediaType: blob.type, data: await readBase64(blob), name: file.name };
  } finally {
    bitmap.close();
  }
}

async function shrink(bitmap, type, maxBytes) {
  const side = Math.max(bitmap.width, bitmap.height);
  for (let target = Math.min(side, LONGEST_SIDE); target >= Math.min(side, SMALLEST_SIDE); target *= SMALLER) {
    const blob = await draw(bitmap, target / side, type === "image/jpeg" ? "image/jpeg" : "image/webp");
    if (blob && blob.size <= maxBytes) return blob;
  }
  return null;
}

async function draw(bitmap, scale, type) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, type, QUALITY));
  if (!blob || blob.type === type) return blob;
  context.globalCompositeOperation = "destination-over"; // Safari makes no WebP, and JPEG has no transparency
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}

/** Resolves to its bytes in base64. */
export function readBase64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.split(",", 2)[1]);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
