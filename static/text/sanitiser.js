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
const CODE = { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["class"] };
const ALWAYS = { RETURN_DOM_FRAGMENT: true, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false };

const OUR_CLASSES = /^(?:language-[\w+#.-]{1,30}|math|raw|task|note-mark|note-text|(?:hljs-[\w-]+(?: [\w-]+_)*))$/;
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

/** The same of highlighted code. */
export const sanitizeCode = (html) => DOMPurify.sanitize(html, { ...ALWAYS, ...CODE });
