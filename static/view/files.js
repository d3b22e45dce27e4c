// From files to what is sent with a question: images, PDFs, and texts that become part of it. It is loaded with the first file.

import { PDF } from "../chat/request.js";
import { list, say } from "../words.js";
import { preparePicture, readBase64 } from "./pictures.js";
import { readTextFile } from "./text_files.js";

const HEAD_BYTES = 1_024; // within which the mark of a PDF is

/** Resolves to the `images` and `texts` that these files are, and `words` on those that are not taken, "" if all are. */
export async function readFiles(files, limits) {
  const pictures = files.filter((file) => isPicture(file) || isPdf(file));
  const others = files.filter((file) => !pictures.includes(file));
  const images = await Promise.all(pictures.map((file) => readMedia(file, limits).catch(() => null)));
  const texts = await Promise.all(others.map(readTextFile));
  const words = [
    ["ask.refused", others.filter((_, index) => !texts[index])],
    ["ask.unread", pictures.filter((_, index) => !images[index])],
  ].map(([key, refused]) => refused.length && say(key, { names: list(refused.map(({ name }) => name)) }));
  return { images: images.filter(Boolean), texts: texts.filter(Boolean), words: words.filter(Boolean).join(" ") };
}

const isPicture = ({ type }) => type.startsWith("image/");
const isPdf = ({ type, name }) => type === PDF || name.toLowerCase().endsWith(".pdf");

/** A PDF is taken as it is, unless it could never be sent. */
async function readMedia(file, { max_image_bytes, max_body_bytes = Infinity }) {
  if (!isPdf(file)) return preparePicture(file, max_image_bytes);
  const isFit = file.size <= max_body_bytes && (await file.slice(0, HEAD_BYTES).text()).includes("%PDF-");
  return isFit ? { mediaType: PDF, data: await readBase64(file), name: file.name } : null;
}
