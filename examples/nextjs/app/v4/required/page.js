'use client';

import * as auth from 'next-auth/react';
import { Required } from '../../panel';

export default function Page() {
  return <Required auth={auth} />;
}
