/** Whether a text is what a file of certificates or keys holds rather than the path of one. */
export function isPem(text: string): boolean {
  return /-----BEGIN|[\r\n]/.test(text);
}
