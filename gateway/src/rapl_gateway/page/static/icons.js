// Outlines on a field of 24 by 24, drawn for this page. The style sheet gives them their stroke.

export const MICROPHONE =
  "M12 3a3 3 0 0 0-3 3v6a3 3 0 0 0 6 0V6a3 3 0 0 0-3-3zM5.5 11v1a6.5 6.5 0 0 0 13 0v-1M12 18.5V22";
export const RECORD = "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z";
export const FILE = "M12 16V4M7 9l5-5 5 5M4 15v4a1 1 0 0 0 1 1h14a1 1 0 0 0 1-1v-4";
export const STOP = "M6 6h12v12H6z";
export const PLAY = "M8 5l11 7-11 7z";
export const PAUSE = "M9 6v12M15 6v12";
export const COPY = "M9 9h11v11H9zM5 15H4V4h11v1";
export const DOWNLOAD = "M12 4v12M7 11l5 5 5-5M4 20h16";
export const CLOSE = "M6 6l12 12M18 6L6 18";
export const WARNING = "M12 4L2.5 20h19zM12 10v4M12 17v.5";
export const SUN =
  "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M19 5l-1.4 1.4M6.4 17.6L5 19";
export const MOON = "M20 14.5A8.5 8.5 0 0 1 9.5 4 8.5 8.5 0 1 0 20 14.5z";
export const HALF = "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 4v16";
