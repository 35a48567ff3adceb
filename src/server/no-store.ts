/** The header that forbids caching of an answer (RFC 9111, 5.2.2.5). */
export const NO_STORE = { 'cache-control': 'no-store' }
