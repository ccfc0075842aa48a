/**
 * Does something in steps, each of which says how it is undone; if one fails, those before are undone, the last first.
 * @param steps is given a function that takes what undoes the step before
 */
export function undoable<T>(steps: (undo: (step: () => void) => void) => T): T {
  const done: (() => void)[] = [];
  try {
    return steps((step) => done.push(step));
  } catch (error) {
    for (const step of done.reverse()) step();
    throw error;
  }
}
