// A request as a command line, to be run where the reader likes.

/** The command. A gateway key is never in it: the shell's variable GATEWAY_KEY is. */
export function curlCommand(url, body, needsKey) {
  const key = needsKey ? `  -H "Authorization: Bearer $GATEWAY_KEY" \\\n` : "";
  const head = `curl -sN '${url}' \\\n  -H 'Content-Type: application/json' \\\n${key}`;
  return `${head}  --data-binary @- <<'JSON'\n${JSON.stringify(body)}\nJSON\n`;
}
