export default {
  // `next dev` answers only origins that it knows; the browser's is the gateway's.
  allowedDevOrigins: ['localhost', '127.0.0.1'],
  // Several lock files above this folder would make Next.js look for the app's root elsewhere.
  turbopack: { root: import.meta.dirname },
  outputFileTracingRoot: import.meta.dirname,
};
