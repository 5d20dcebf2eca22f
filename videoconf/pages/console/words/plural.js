// A number with its noun.

export const plural = (number, one, many) => `${new Intl.NumberFormat("en-GB").format(number)} ${number === 1 ? one : many}`;
