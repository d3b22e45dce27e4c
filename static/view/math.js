export function setMath() {}
