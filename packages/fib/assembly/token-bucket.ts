/** Limits a rate. Layout: TOKEN_BUCKET_ of src/layout.ts. */
import {
  TOKEN_BUCKET_BURST,
  TOKEN_BUCKET_RATE,
  TOKEN_BUCKET_SINCE,
  TOKEN_BUCKET_TOKENS,
} from '../src/layout.ts';

const TOKEN: u64 = 1000;

/** Takes a token if there is one. @param now WORKER_NOW_MS */
export function takeToken(bucket: usize, now: u32): bool {
  const elapsed = now - load<u32>(bucket, TOKEN_BUCKET_SINCE); // wraps
  const most = <u64>load<u32>(bucket, TOKEN_BUCKET_BURST) * TOKEN;
  // a token a second is a thousandth a millisecond
  let tokens = <u64>load<u32>(bucket, TOKEN_BUCKET_TOKENS) + <u64>elapsed * <u64>load<u32>(bucket, TOKEN_BUCKET_RATE);
  if (tokens > most) tokens = most;
  const taken = tokens >= TOKEN;
  store<u32>(bucket, <u32>(taken ? tokens - TOKEN : tokens), TOKEN_BUCKET_TOKENS);
  store<u32>(bucket, now, TOKEN_BUCKET_SINCE);
  return taken;
}
