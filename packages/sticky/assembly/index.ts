export { hash4, hash6, hashes4 } from './exports';
export { lookup_vector } from './lookup';
export { take_over } from './take-over';
export { copy, count_by_as, count_by_vip, count_live, count_matching, flush, set_state, state_of } from './scan';
