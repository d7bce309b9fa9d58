/** Returns a part of one as percent. All but all is never 100 %. */
export function percent(part: number | null | undefined): string {
  if (part === null || part === undefined) return '–';
  const value = part * 100;
  if (value > 99 && value < 100) return `${Math.min(99.9, Math.round(value * 10) / 10).toFixed(1)} %`;
  return `${Math.round(value)} %`;
}
