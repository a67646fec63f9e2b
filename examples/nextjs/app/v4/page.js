'use client';

import * as auth from 'next-auth/react';
import { Panel } from '../panel';

export default function Page() {
  return <Panel auth={auth} title="next-auth 4" />;
}
