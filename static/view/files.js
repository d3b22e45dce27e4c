// From files to what is sent with a question: images, and texts that become part of it. It is loaded with the first file.

import { list, say } from "../words.js";
import { preparePicture } from "./pictures.js";
import { readTextFile } from "./text_files.js";

/** Resolves to the `images` and `texts` that these files are, and `words` on those that are not taken, "" if all are. */
export async function readFiles(files, maxImageBytes) {
  const pictures = files.filter(isPicture);
  const others = files.filter((file) => !isPicture(file));
  const images = await Promise.all(pictures.map((file) => preparePicture(file, maxImageBytes).catch(() => null)));
  const texts = await Promise.all(others.map(readTextFile));
  const words = [
    ["ask.refused", others.filter((_, index) => !texts[index])],
    ["ask.unread", pictures.filter((_, index) => !images[index])],
  ].map(([key, refused]) => refused.length && say(key, { names: list(refused.map(({ name }) => name)) }));
  return { images: images.filter(Boolean), texts: texts.filter(Boolean), words: words.filter(Boolean).join(" ") };
}

const isPicture = ({ type }) => type.startsWith("image/");
