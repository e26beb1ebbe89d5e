/** Far above what one machine can run; genesis allows a thousand. */
export const REPLICAS_OPTION_MAX = 100
