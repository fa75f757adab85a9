// WireGuard key pairs, made in this browser. Nothing in this file sends anything anywhere.

const base64 = (bytes) => btoa(String.fromCharCode(...bytes));

// The private key ends a PKCS #8 X25519 document (RFC 8410): 16 bytes say what it is, 32 are the key.
const PKCS8_HEAD = 16;

/** { publicKey, privateKey } in base64, as `wg` writes them. Throws where the browser has no X25519. */
export async function makeKeyPair() {
  const pair = await crypto.subtle.generateKey({ name: "X25519" }, true, ["deriveBits"]);
  const [spoken, secret] = await Promise.all([
    crypto.subtle.exportKey("raw", pair.publicKey),
    crypto.subtle.exportKey("pkcs8", pair.privateKey),
  ]);
  return { publicKey: base64(new Uint8Array(spoken)), privateKey: base64(new Uint8Array(secret).slice(PKCS8_HEAD)) };
}

/** Whether this browser can make such keys. */
export async function canMakeKeys() {
  try {
    await makeKeyPair();
    return true;
  } catch {
    return false;
  }
}

/** The client's file with the private key in its place. */
export function completeFile(config, placeholder, privateKey) {
  return config.replace(placeholder, () => `PrivateKey = ${privateKey}`);
}
