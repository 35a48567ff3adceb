/** The type of the event that ends a finite topic. Publishers cannot use it: types of the hub begin with `fanfare.`. */
export const END_TYPE = 'fanfare.end'
