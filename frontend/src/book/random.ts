/** A name that nobody else has, also where a page is served without TLS. */
export const randomName = (): string => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
