export { type Micros, OFF } from "../wire/time.ts"
