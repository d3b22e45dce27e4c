// The one place where HTML becomes part of the page. Whatever a model writes comes through here.

import "../vendor/dompurify/purify.min.js";

const { DOMPurify } = globalThis;

const MARKDOWN = {
  ALLOWED_TAGS: [
    ..."p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code span em strong del a".split(" "),
    ..."b i s u sub sup kbd mark table thead tbody tr th td".split(" "),
  ],
  ALLOWED_ATTR: ["href", "title", "align", "start", "class"],
  ADD_URI_SAFE_ATTR: ["align", "start"], // else their values would have to be addresses
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
};
// What Temml makes of TeX. Its styles come as another attribute, as the content policy takes none from HTML.
const MATH = {
  ALLOWED_TAGS: [
    ..."math mrow mi mn mo ms mtext mspace mfrac msqrt mroot mstyle mpadded mphantom merror menclose span".split(" "),
    ..."msub msup msubsup munder mover munderover mmultiscripts mprescripts mtable mtr mtd".split(" "),
  ],
  ALLOWED_ATTR: [
    ..."class display displaystyle scriptlevel mathvariant stretchy fence separator symmetric form accent".split(" "),
    ..."accentunder movablelimits largeop lspace rspace minsize maxsize width height depth voffset".split(" "),
    ..."linethickness notation columnalign columnspan rowspan columnlines rowlines data-style".split(" "),
  ],
  ALLOWED_URI_REGEXP: /^[\w.#%() -]{0,80}$/, // none of them is an address
};
const STYLE = / style="/g;
const MATH_PROPERTIES = /^(?:color|background-color|width|font-weight|text-align|math-depth|(?:padding|border)(?:-\w+)?)$/;
const MATH_VALUE = /^[\w.#% -]{1,40}$/;
const CODE = { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] };
const ALWAYS = { RETURN_DOM_FRAGMENT: true, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false };

const MATH_CLASS = "(?:tml|chr|wbk|ff)-[\\w-]+|mathcal|mathscr|menclose|upstrike|downstrike|sout|circle-pad|textcircle";
const OUR_CLASSES = new RegExp(
  `^(?:language-[\\w+#.-]{1,30}|math|raw|task|note-mark|note-text|hljs-[\\w-]+(?: [\\w-]+_)*|(?:(?:${MATH_CLASS})(?: |$))+)$`,
);
// What is within one of these has no direction of its own: a browser leaves that out when it looks for the outer one's.
const READ_IN_ITS_OWN_DIRECTION = new Set(["P", "UL", "OL", "BLOCKQUOTE", "TABLE", "H1", "H2", "H3", "H4", "H5", "H6"]);

DOMPurify.addHook("uponSanitizeAttribute", (_, attribute) => {
  if (attribute.attrName === "class" && !OUR_CLASSES.test(attribute.attrValue)) attribute.keepAttr = false;
});

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (READ_IN_ITS_OWN_DIRECTION.has(node.tagName) && !node.parentElement?.closest("[dir]")) node.dir = "auto";
  if (node.tagName !== "A") return;
  node.setAttribute("rel", "noopener noreferrer nofollow");
  node.setAttribute("target", "_blank");
});

/** The HTML of a model's Markdown as a fragment that is safe to show. */
export const sanitizeMarkdown = (html) => DOMPurify.sanitize(html, { ...ALWAYS, ...MARKDOWN });

/** The same of the MathML that the library for math makes. */
export function sanitizeMath(html) {
  const math = DOMPurify.sanitize(html.replace(STYLE, ' data-style="'), { ...ALWAYS, ...MATH });
  for (const element of math.querySelectorAll("[data-style]")) applyStyle(element);
  return math;
}

function applyStyle(element) {
  for (const declaration of element.dataset.style.split(";")) {
    const [property, value] = declaration.split(":").map((part) => part.trim());
    if (MATH_PROPERTIES.test(property) && MATH_VALUE.test(value)) element.style.setProperty(property, value);
  }
  delete element.dataset.style;
}

/** The same of highlighted code. */
export const sanitizeCode = (html) => DOMPurify.sanitize(html, { ...ALWAYS, ...CODE });
