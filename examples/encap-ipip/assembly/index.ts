export { ipip4 } from './ipip4';
export { ipip6 } from './ipip6';
